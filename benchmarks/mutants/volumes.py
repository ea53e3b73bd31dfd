"""NIfTI volumes: header fields, bytes, compression."""

from __future__ import annotations

import gzip
import struct
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from numpy.typing import NDArray

from cmb_toolkit.io.nifti import Volume, read_grid, read_mask, read_volume

from .damage import bytes_damaged, gzip_damaged, nothing, one_of, place_damaged
from .kind import Kind, Mutant

__all__ = ["KINDS", "phantom"]

Random = np.random.Generator
SHAPE = (24, 28, 6)

_INTEGERS = (0, 1, -1, 2, 3, 7, 8, 32767, -32768, 255, 256, 1000)
_REALS = (
    0.0, -0.0, 1.0, -1.0, float("nan"), float("inf"), -float("inf"), 1e38, -1e38, 1e-38, 1e-45, 352.5, 351.0, 353.0,
    1e9, 4e9, 1e-3, 1e3, 2.0,
)  # fmt: skip
_FIELDS: dict[str, tuple[int, str]] = {
    "sizeof_hdr": (0, "<i"), **{f"dim[{n}]": (40 + 2 * n, "<h") for n in range(8)}, "intent_code": (68, "<h"),
    "datatype": (70, "<h"), "bitpix": (72, "<h"), **{f"pixdim[{n}]": (76 + 4 * n, "<f") for n in range(8)},
    "vox_offset": (108, "<f"), "scl_slope": (112, "<f"), "scl_inter": (116, "<f"), "xyzt_units": (123, "<B"),
    "qform_code": (252, "<h"), "sform_code": (254, "<h"), **{f"quatern[{n}]": (256 + 4 * n, "<f") for n in range(3)},
    **{f"qoffset[{n}]": (268 + 4 * n, "<f") for n in range(3)},
    **{f"srow[{n}]": (280 + 4 * n, "<f") for n in range(12)}, "magic": (344, "<i"), "extension": (348, "<i"),
}  # fmt: skip
_TYPES = (2, 4, 8, 16, 32, 64, 128, 256, 512, 768, 1024, 1280, 1536, 1792, 2048, 2304, 0, 1, 255, -1)


def phantom(random: Random, shape: tuple[int, int, int] = SHAPE) -> NDArray[np.float32]:
    """A bright ellipsoid with noise and a dark spot."""
    place = [np.linspace(-1.15, 1.15, n) for n in shape]
    i, j, k = np.meshgrid(*place, indexing="ij")
    head = (i**2 + j**2 + 0.5 * k**2) < 1
    values = 400 * head + 20 * random.standard_normal(shape) * head
    values[shape[0] // 3, shape[1] // 2, shape[2] // 2] = 40
    return np.asarray(values, np.float32)


def _write(path: Path, values: NDArray[Any], dtype: type, sform: int = 1) -> None:
    affine = np.diag([0.9, 0.9, 2.0, 1.0])
    affine[:3, 3] = -10, -12, 5
    image = nib.Nifti1Image(values.astype(dtype), affine)
    image.set_qform(affine, 1)
    image.set_sform(affine, sform)
    nib.save(image, path)


def _make(folder: Path) -> None:
    values = phantom(np.random.default_rng(1))
    _write(folder / "int16.nii", values, np.int16)
    _write(folder / "float32.nii", values, np.float32)
    _write(folder / "quaternion.nii", values, np.int16, sform=0)
    _write(folder / "like.nii", values, np.float32)
    _write(folder / "mask.nii", values > 200, np.uint8)


def _claimed(content: bytes) -> NDArray[np.float64] | str:
    """What a little-endian header says that the values are, sorted; or why they cannot be had."""
    dims = struct.unpack_from("<8h", content, 40)
    datatype = struct.unpack_from("<h", content, 70)[0]
    offset, slope, inter = struct.unpack_from("<3f", content, 108)
    types = {2: "u1", 4: "<i2", 8: "<i4", 16: "<f4", 64: "<f8", 256: "i1", 512: "<u2", 768: "<u4", 1024: "<i8"}
    types |= {1280: "<u8", 32: "<c8", 1792: "<c16"}
    if datatype not in types:
        return "its type is not one of real or complex numbers"
    shape = dims[1 : 1 + max(0, min(7, dims[0]))]
    count = int(np.prod([int(n) for n in shape[:3]], dtype=object))
    kind = np.dtype(types[datatype])
    if len(shape) < 3 or min(shape) < 1:
        return f"its axes are {shape}"
    if not np.isfinite(offset) or offset < 0 or int(offset) + count * kind.itemsize > len(content):
        return "it claims more values than the file has"
    values = np.frombuffer(content, kind, count, int(offset))
    if values.dtype.kind == "c":
        values = np.abs(values)
    if np.isfinite(slope) and slope != 0:
        values = values * float(slope) + (float(inter) if np.isfinite(inter) else 0.0)
    return np.sort(np.where(np.isfinite(values), values, 0).astype(np.float64))


def _wrong(volume: Volume, content: bytes, original: NDArray[np.float32] | None) -> str:  # noqa: PLR0911
    """What is wrong about a volume read from a file's content; `original`: it must hold these values."""
    if not np.isfinite(volume.data).all() or not np.isfinite(volume.affine).all():
        return "values or affine are not finite"
    if not all(0.01 <= size <= 100 for size in volume.zooms):
        return f"voxels of {volume.zooms} mm"
    if original is not None:
        return "" if np.array_equal(volume.data, original) else "other values than the file had before it was damaged"
    if struct.unpack_from("<i", content)[0] != 348:
        return ""  # read as another kind of file, whose values are not known here
    values = _claimed(content)
    if isinstance(values, str):
        return values
    read = np.sort(volume.data.ravel()).astype(np.float64)
    if len(read) > len(values) or (len(read) == len(values) and not np.allclose(read, values, rtol=1e-4, atol=1e-30)):
        return "other values than the header and the data say"
    return ""


def _header(content: bytes, random: Random) -> tuple[bytes, str]:
    """One to three fields of the header set to what they should not be."""
    whole, done = bytearray(content), []
    for _ in range(int(random.integers(1, 4))):
        name = one_of(random, list(_FIELDS))
        place, form = _FIELDS[name]
        if form == "<f":
            value: float = one_of(random, _REALS)
        elif name == "datatype":
            value = one_of(random, _TYPES)
        elif form == "<B":
            value = int(random.integers(256))
        else:
            value = one_of(random, _INTEGERS)
        struct.pack_into(form, whole, place, value)
        done.append(f"{name} = {value:g}")
    return bytes(whole), ", ".join(done)


def _mutate(random: Random, originals: Path, folder: Path) -> Mutant:
    name = one_of(random, ["int16.nii", "int16.nii", "float32.nii", "quaternion.nii"])
    content = (originals / name).read_bytes()
    kind = one_of(random, ["header"] * 5 + ["bytes", "bytes", "gzip", "gzip", "gzip", "gzip", "place", "huge"])
    packed = bool(random.integers(2))
    path = folder / "scan.nii"
    original, rights = None, nothing
    if kind == "gzip":
        path = folder / "scan.nii.gz"
        damaged, what = gzip_damaged(content, random)
        original = read_volume(originals / name).data
        path.write_bytes(damaged)
    elif kind == "place":
        path.write_bytes(content)
        what, rights = place_damaged(path, random)
        damaged = content
    else:
        if kind == "header":
            damaged, what = _header(content, random)
        elif kind == "huge":
            damaged, what = _huge(content, random)
        else:
            damaged, what = bytes_damaged(content, random, within=one_of(random, [352, len(content)]))
        path = folder / ("scan.nii.gz" if packed else "scan.nii")
        path.write_bytes(gzip.compress(damaged, 1) if packed else damaged)
    reader = one_of(random, ["volume", "volume", "volume", "grid", "mask"])

    def read() -> Any:
        with rights():
            if reader == "volume":
                return read_volume(path)
            if reader == "grid":
                return read_grid(path)
            return read_mask(path, read_volume(originals / "like.nii"))

    def wrong(found: Any) -> str:
        if reader == "volume":
            return _wrong(found, damaged, original)
        if reader == "grid":
            fits = min(found.shape) > 0 and np.isfinite(found.affine).all() and found.volumes > 0
            return "" if fits else f"a grid of {found.shape}"
        return "" if found.any() else "an empty mask"

    return Mutant(f"{name}, {reader}: {what}", read, path, wrong)


def _huge(content: bytes, random: Random) -> tuple[bytes, str]:
    """A header that claims far more than the file can hold."""
    whole = bytearray(content)
    sides = [int(one_of(random, [4, 500, 3000, 32767])) for _ in range(3)]
    datatype, bits = one_of(random, [(4, 16), (16, 32), (64, 64), (1792, 128), (2, 8)])
    struct.pack_into("<4h", whole, 40, 3, *sides)
    struct.pack_into("<2h", whole, 70, datatype, bits)
    return bytes(whole), f"claims {sides} values of {bits} bits"


KINDS = (Kind("nifti", _make, _mutate, share=6.0),)
