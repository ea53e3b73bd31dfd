"""The bytes of a NIfTI file: a header that is believed only as far as the file can bear it out, and values read whole.

A header may claim anything. What it says is checked against itself and against what its file can hold before memory is
taken for it. A compressed file is read to its end, where the checksum of what was compressed stands: a copy that went
wrong often decompresses all the same. What is read of one with several volumes is the one that is wanted.
"""

from __future__ import annotations

import gzip
import logging
import math
import os
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, cast

import nibabel as nib
import numpy as np
from nibabel.spatialimages import HeaderDataError
from nibabel.volumeutils import apply_read_scaling
from numpy.typing import NDArray

from ..errors import DataError, MissingError
from .foreign import describe_file, describe_folder

__all__ = ["NiftiFile", "open_nifti"]

_GZIP = b"\x1f\x8b"
_DEFLATED = 1032  # bytes that one byte of a deflate stream can stand for, at most
_CHUNK = 1 << 20
_HEADERS = {348: 344, 540: 4}  # length of the header: where its magic word stands
_LONGEST_HEADER = max(_HEADERS)
_SINGLE, _PAIR = (b"n+1\0", b"n+2\0"), (b"ni1\0", b"ni2\0")
_MOST_VOXELS = 1 << 28
"""Of one volume: 640 along each axis. No scan of a head has more."""

_KINDS: dict[tuple[int, bool], Any] = {  # by length, and whether values follow the header in the same file
    (348, True): nib.nifti1.Nifti1Header,
    (348, False): nib.nifti1.Nifti1PairHeader,
    (540, True): nib.nifti2.Nifti2Header,
    (540, False): nib.nifti2.Nifti2PairHeader,
}
_SILENT = logging.Logger("nibabel's remarks on headers", logging.CRITICAL + 1)
_CONVERT = "Convert or export the scan again."


@dataclass(frozen=True)
class NiftiFile:
    """What a NIfTI file says of itself, as far as that was found possible.

    Attributes
    ----------
    path : Path
        As it was given.
    values_in : Path
        The file that holds the values: another one than the header's for ``.hdr/.img``.
    offset : int
        Where they begin in it, decompressed [byte].
    shape : tuple of int
        Along the file's own axes.
    dtype : dtype
        As what they are stored.
    scaling : (float, float)
        Slope and intercept, exactly as the header has them.
    affine : (4, 4) array
        From voxel indices to world coordinates [mm]; not finite where the header gives none.
    codes : (int, int)
        Of qform and sform.
    slice_axis : int or None
        Which of the file's axes, 0 to 2, the header says the slices are stacked along.
    header : nibabel header
        For notes on its geometry.
    """

    path: Path
    values_in: Path
    offset: int
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    scaling: tuple[float, float]
    affine: NDArray[np.float64]
    codes: tuple[int, int]
    slice_axis: int | None
    header: Any

    def values(self, volume: int = 0) -> tuple[NDArray[Any], tuple[str, ...]]:
        """One volume, and what was strange about the file but could be dealt with.

        Parameters
        ----------
        volume : int
            Which of those along the fourth axis, from 0.

        Returns
        -------
        (i, j, k) array
            Along the file's own axes, slope and intercept applied: float32, or complex64.
        tuple of str

        Raises
        ------
        DataError
            If the file is cut short, damaged, or its checksum does not hold.
        """
        i, j, k = self.shape[:3]
        if i * j * k > _MOST_VOXELS:
            raise DataError(
                f"{self.path}: has {i} x {j} x {k} voxels, more than any scan of a head (at most {_MOST_VOXELS:,}). "
                f"Its header is damaged, or it is no scan. {_CONVERT}"
            )
        size = i * j * k * self.dtype.itemsize
        content, beyond = _read(self.values_in, self.offset + volume * size, size, self._end)
        notes = (f"it holds {beyond} bytes more than its header says, which were left out",) if beyond else ()
        stored = np.frombuffer(content, self.dtype).reshape((i, j, k), order="F")
        values = np.empty((i, j, k), np.complex64 if self.dtype.kind == "c" else np.float32, order="F")
        with np.errstate(all="ignore"):  # what is too large for it becomes infinite, which is looked at later
            for plane in range(k):  # so that the whole is held in double precision nowhere
                values[:, :, plane] = apply_read_scaling(stored[:, :, plane], *map(np.float64, self.scaling))
        return values, notes

    @property
    def _end(self) -> int:
        """Where the last value ends [byte]."""
        return self.offset + math.prod(self.shape) * self.dtype.itemsize


def open_nifti(path: Path) -> NiftiFile:
    """Read and check the header of a NIfTI file: ``.nii``, ``.nii.gz`` or ``.hdr/.img``.

    Raises
    ------
    MissingError
        If there is no such file, or it may not be read.
    DataError
        If it is no NIfTI file, its header contradicts itself, or it claims more than the file can hold.
    """
    values_in = _partner(path, ".img")
    with _reading(_partner(path, ".hdr")):
        block = _head(_partner(path, ".hdr"))
    length, order = _length_and_order(path, block)
    word = block[_HEADERS[length] : _HEADERS[length] + 4]
    single = word in _SINGLE
    if single == (values_in != _partner(path, ".hdr")):
        raise DataError(
            f"{path}: its header says that its values are {'in it' if single else 'in another file'}, its name does "
            f"not. {_CONVERT}"
        )
    header = _KINDS[length, single](block[:length], order, check=False)
    shape, dtype = _shape(path, header), _dtype(path, header)
    offset = _offset(path, header, least=(length + 4) * single)
    _check_room(path, values_in, offset + math.prod(shape) * dtype.itemsize)
    try:
        header.check_fix(_SILENT)
    except HeaderDataError as error:
        raise DataError(f"{path}: its header cannot be right ({error}). {_CONVERT}") from error
    axis = header.get_dim_info()[2]
    return NiftiFile(
        path,
        values_in,
        offset,
        shape,
        dtype,
        _scaling(path, header),
        _affine(header),
        (int(header["qform_code"]), int(header["sform_code"])),
        axis if axis in (0, 1, 2) else None,
        header,
    )


# -- headers ----------------------------------------------------------------------------------------------------


def _partner(path: Path, ending: str) -> Path:
    """Of ``.hdr/.img`` the one that ends so; any other file is its own."""
    packed = ".gz" if path.suffix.lower() == ".gz" else ""
    bare = path.with_suffix("") if packed else path
    return bare.with_suffix(ending + path.suffix * bool(packed)) if bare.suffix in (".hdr", ".img") else path


def _length_and_order(path: Path, block: bytes) -> tuple[int, str]:
    """Length of the header [byte], and the order of its bytes."""
    for order, mark in (("little", "<"), ("big", ">")):
        length = int.from_bytes(block[:4], order)  # type: ignore[arg-type]
        place = _HEADERS.get(length)
        if place is not None and len(block) >= length and block[place : place + 4] in (*_SINGLE, *_PAIR):
            return length, mark
    raise DataError(f"{path}: {describe_file(path, block)}")


def _shape(path: Path, header: Any) -> tuple[int, ...]:
    axes, *lengths = (int(n) for n in header["dim"])
    if not 1 <= axes <= 7 or min(lengths[:axes]) < 0:
        raise DataError(
            f"{path}: its header gives {axes} axes of {' x '.join(map(str, lengths[: max(0, axes)]))} voxels, which "
            f"cannot be. {_CONVERT}"
        )
    return tuple(lengths[:axes])


def _dtype(path: Path, header: Any) -> np.dtype[Any]:
    code, bits = int(header["datatype"]), int(header["bitpix"])
    try:
        dtype: np.dtype[Any] = header.get_data_dtype()
    except (KeyError, HeaderDataError):
        dtype = np.dtype("V0")
    if dtype.itemsize == 0:
        raise DataError(f"{path}: its header gives the kind of number as {code}, which is none. {_CONVERT}")
    if bits != 8 * dtype.itemsize:
        raise DataError(
            f"{path}: its header gives values of {bits} bits, but of a kind ({dtype.name}) that has "
            f"{8 * dtype.itemsize}. {_CONVERT}"
        )
    return dtype


def _offset(path: Path, header: Any, least: int) -> int:
    offset = float(header["vox_offset"])
    if not (math.isfinite(offset) and offset >= least and offset == int(offset)):
        raise DataError(
            f"{path}: its header says that the values begin at byte {offset:g}; expected a whole number from {least}. "
            f"{_CONVERT}"
        )
    return int(offset)


def _scaling(path: Path, header: Any) -> tuple[float, float]:
    slope, intercept = float(header["scl_slope"]), float(header["scl_inter"])
    if slope == 0:  # the standard's word for none
        return 1.0, 0.0
    if not (math.isfinite(slope) and math.isfinite(intercept)):
        raise DataError(f"{path}: its header scales values by {slope:g} and adds {intercept:g}. {_CONVERT}")
    return slope, intercept


def _affine(header: Any) -> NDArray[np.float64]:
    with np.errstate(all="ignore"):
        try:
            return np.asarray(header.get_best_affine(), float)
        except (ValueError, HeaderDataError):  # quaternions that are none
            return np.full((4, 4), np.nan)


def _check_room(path: Path, values_in: Path, end: int) -> None:
    """Refuse a claim that the file cannot bear out; of a compressed one that no compression could."""
    with _reading(values_in):
        size = values_in.stat().st_size
    if end > size * (_DEFLATED if _is_packed(values_in) else 1):
        raise DataError(
            f"{path}: damaged or cut short (its header claims {end:,} bytes, and its {size:,} hold fewer). Copy or "
            "export the file again."
        )


# -- bytes ------------------------------------------------------------------------------------------------------


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Say what keeps a file from being read in one line."""
    try:
        if not path.is_file():
            if path.is_dir():
                raise MissingError(f"{path}: {describe_folder(path)}")
            what = "is no regular file" if path.exists() else "not found"
            raise MissingError(f"{path}: {what}. Check the path; a NIfTI file (.nii or .nii.gz) is needed.")
        yield
    except MissingError:
        raise
    except PermissionError as error:
        raise MissingError(f"{path}: cannot be read ({error.strerror}). Check the file's permissions.") from error
    except (EOFError, OSError, zlib.error) as error:
        what = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise DataError(f"{path}: damaged or cut short ({what}). Copy or export the file again.") from error


def _is_packed(path: Path) -> bool:
    """Whether a file is compressed: its name decides, for values may begin with any bytes."""
    return path.suffix.lower() == ".gz"


def _head(path: Path) -> bytes:
    """As many of a file's first bytes as a header has, decompressed.

    Raises
    ------
    DataError
        If its name and its content disagree about whether it is compressed.
    """
    with path.open("rb") as stream:
        block = stream.read(_LONGEST_HEADER)
        if _is_packed(path):
            if any(block[place : place + 4] in (*_SINGLE, *_PAIR) for place in _HEADERS.values()):
                raise DataError(f"{path}: is not compressed, though its name says so. Rename it to end without .gz.")
            if not block.startswith(_GZIP):
                return block  # no NIfTI file either: what it is tells its content
            stream.seek(0)
            return bytes(_pull(_unpacked(stream), _LONGEST_HEADER))
    if block.startswith(_GZIP) and path.suffix.lower() in (".nii", ".hdr"):
        raise DataError(f"{path}: is compressed, and its name does not say so. Rename it to end in .gz.")
    return block


def _read(path: Path, start: int, size: int, end: int) -> tuple[bytes | bytearray, int]:
    """`size` bytes from `start`, and how many there are behind `end`; a compressed file is read through.

    Raises
    ------
    DataError
    """
    with _reading(path), path.open("rb") as stream:
        if not _is_packed(path):
            stream.seek(start)
            content: bytes | bytearray = stream.read(size)
            beyond = os.fstat(stream.fileno()).st_size - end
        else:
            unpacked = _unpacked(stream)
            there = _skip(unpacked, start)
            content = _pull(unpacked, size)
            there += len(content) + _skip(unpacked, end - start - size)
            beyond = there - end + _skip(unpacked, end + _CHUNK)
            if unpacked.read(1):
                raise EOFError(f"holds more than twice the {end:,} bytes that its header claims")
        if len(content) < size or beyond < 0:
            raise EOFError(f"its header claims {end:,} bytes, and it holds fewer")
    return content, beyond


def _unpacked(stream: BinaryIO) -> BinaryIO:
    """A compressed stream, decompressed; at its end the checksums are looked at."""
    return cast(BinaryIO, gzip.GzipFile(fileobj=stream))


def _pull(stream: BinaryIO, size: int) -> bytearray:
    """Up to `size` bytes: memory grows with what is there, not with what was claimed."""
    content = bytearray()
    while len(content) < size and (chunk := stream.read(min(_CHUNK, size - len(content)))):
        content += chunk
    return content


def _skip(stream: BinaryIO, size: int) -> int:
    """Read and forget up to `size` bytes; how many there were."""
    left = size
    while left > 0 and (chunk := stream.read(min(_CHUNK, left))):
        left -= len(chunk)
    return size - left
