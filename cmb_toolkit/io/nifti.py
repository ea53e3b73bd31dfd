"""NIfTI volumes: read on the closest canonical axes, write back on the file's own grid.

A volume is an array (i, j, k) of float32 with i towards the patient's right, j anterior, k superior, so that k is the
slice. The file's own order of axes is kept beside it, and what is written ``like`` a volume lies on the same grid as
its file, voxel by voxel. The header's slope and intercept are applied exactly once. Nothing of a header but its
geometry is copied to an output: descriptions and extensions may hold names.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

import nibabel as nib
import numpy as np
from nibabel.affines import voxel_sizes
from nibabel.orientations import apply_orientation, inv_ornt_aff, io_orientation, ornt_transform
from numpy.typing import DTypeLike, NDArray

from ..aloud import aloud
from ..errors import DataError
from ..wording import counted
from .nifti_file import NiftiFile, open_nifti

__all__ = [
    "GRID_TOLERANCE",
    "Grid",
    "Volume",
    "check_same_grid",
    "grids_apart",
    "read_grid",
    "read_mask",
    "read_volume",
    "write_labels",
    "write_on_own_grid",
    "write_volume",
]

GRID_TOLERANCE = 0.1
"""How far apart the corners of two grids may lie [voxel] and still count as the same grid."""

_THICKER = 1.25  # how much thicker along one axis a voxel is before it counts as thicker
_MASK_TOLERANCE = 1e-5  # share of a mask's value that rounding and scaling may leave
_MOST_LABELS = 256
_FEW_FINITE = 0.01
_STEPS = 32767  # on either side of 0: the largest int16, so that 0 is one of them
_CANONICAL = np.array([[0, 1], [1, 1], [2, 1]])


@dataclass(frozen=True)
class Volume:
    """A volume on the closest canonical axes, and what is needed to write another one like it.

    Attributes
    ----------
    data : (i, j, k) float32 array
        Finite values; voxels that were NaN or infinite are 0 and marked in `invalid`.
    affine : (4, 4) array
        From canonical voxel indices to the file's world coordinates [mm].
    path : Path
    file_affine : (4, 4) array
        From the file's own voxel indices to world coordinates [mm].
    codes : (int, int)
        The file's qform and sform codes.
    invalid : (i, j, k) bool array or None
        Where the file held NaN or infinity; None where everything was finite.
    notes : tuple of str
        What was strange about the file but could be dealt with.
    complex : bool
        The file held complex values, of which `data` is the modulus or the angle [rad].
    """

    data: NDArray[np.float32]
    affine: NDArray[np.float64]
    path: Path
    file_affine: NDArray[np.float64]
    codes: tuple[int, int] = (1, 1)
    invalid: NDArray[np.bool_] | None = None
    notes: tuple[str, ...] = ()
    complex: bool = False

    @property
    def shape(self) -> tuple[int, int, int]:
        i, j, k = self.data.shape
        return i, j, k

    @property
    def zooms(self) -> tuple[float, float, float]:
        """Voxel size along i, j, k [mm]."""
        i, j, k = (float(x) for x in voxel_sizes(self.affine))
        return i, j, k

    @property
    def file_shape(self) -> tuple[int, int, int]:
        """Voxels along the file's own axes."""
        i, j, k = (self.shape[int(axis)] for axis in io_orientation(self.file_affine)[:, 0])
        return i, j, k


def read_volume(
    path: Path,
    *,
    echo: int | None = None,
    part: Literal["magnitude", "phase"] | None = None,
    order: Literal["C", "F"] = "C",
) -> Volume:
    """Read one three-dimensional volume.

    Parameters
    ----------
    path : Path
        ``.nii`` or ``.nii.gz`` (or ``.hdr/.img``).
    echo : int, optional
        Which volume of a 4-D file, counted from 1. Needed for such a file; a 3-D file has only echo 1.
    part : {"magnitude", "phase"}, optional
        What to take of complex values: their modulus, or their angle [rad]. Real files are read as they are.
    order : {"C", "F"}
        How the array lies in memory, as numpy has it. F, as files have it, spares the time to turn it where it is only
        looked at slice by slice.

    Returns
    -------
    Volume

    Raises
    ------
    MissingError
        If there is no such file.
    DataError
        If the file is damaged, is no NIfTI, or does not hold one volume of axial slices with some signal.
    """
    file = open_nifti(path)
    values, notes = _load(file, echo, part)
    _check_geometry(path, file.affine)
    volume = _canonical(file, values, (*_header_notes(file), *notes), order)
    _check_axial(volume, file.slice_axis)
    invalid = ~np.isfinite(volume.data)
    notes = volume.notes
    if invalid.any():
        share = float(invalid.mean())
        if 1 - share < _FEW_FINITE:
            raise DataError(
                f"{path}: {share:.0%} of its values are NaN or infinite, so there is no image in it. "
                "Convert or export the scan again."
            )
        notes += (f"{share:.2%} of its values were NaN or infinite and were set to 0",)
        volume.data[invalid] = 0
    low, high = float(volume.data.min()), float(volume.data.max())
    if low == high:
        raise DataError(
            f"{path}: every voxel is {low:g}, so there is no image in it. Convert or export the scan again."
        )
    aloud(f"{path}: read, {' x '.join(map(str, volume.shape))} voxels")
    return Volume(
        volume.data,
        volume.affine,
        path,
        volume.file_affine,
        volume.codes,
        invalid if invalid.any() else None,
        notes,
        file.dtype.kind == "c",
    )


class Grid(NamedTuple):
    """On which voxels a file's values lie.

    Attributes
    ----------
    shape : (int, int, int)
        Voxels along the file's own axes.
    affine : (4, 4) array
        From the file's own voxel indices to world coordinates [mm].
    volumes : int
        How many volumes (echoes, for instance) the file holds; 1 for a 3-D file.
    """

    shape: tuple[int, int, int]
    affine: NDArray[np.float64]
    volumes: int


def read_grid(path: Path) -> Grid:
    """Read the grid of a file, from its header alone.

    Raises
    ------
    MissingError
        If there is no such file.
    DataError
        If it is no NIfTI file of at least three axes, or its geometry cannot be.
    """
    file = open_nifti(path)
    if len(file.shape) < 3 or 0 in file.shape:
        raise DataError(f"{path}: has shape {_times(file.shape)}; a volume needs three axes (four with echoes).")
    _check_geometry(path, file.affine)
    i, j, k = file.shape[:3]
    return Grid((i, j, k), file.affine, math.prod(file.shape[3:]))


def read_mask(path: Path, like: Volume) -> NDArray[np.bool_]:
    """Read a mask, and check that it lies on the grid of `like`; in memory it lies as that does.

    A mask has 0 outside and one other, positive value inside; NaN is outside. What it would mean to be above 0 in a
    map of probabilities, of distances or of labels depends on who made it, so these are not taken for masks.

    Raises
    ------
    MissingError, DataError
    """
    file = open_nifti(path)
    if math.prod(file.shape[3:]) > 1:
        raise DataError(f"{path}: has shape {_times(file.shape)}; a mask is one volume. Save the one that is meant.")
    order: Literal["C", "F"] = "C" if like.data.flags.c_contiguous else "F"
    volume = _canonical(file, _load(file, None, None).values, (), order)
    check_same_grid(like, volume)
    values = volume.data
    values[np.isnan(values)] = 0
    inside = float(values.max())
    mask: NDArray[np.bool_] = values > _MASK_TOLERANCE * inside
    negative = (values < -_MASK_TOLERANCE * abs(inside)).any()
    if negative or math.isinf(inside) or (mask & (values < (1 - _MASK_TOLERANCE) * inside)).any():
        raise DataError(
            f"{path}: is no mask but {_kind_of_map(values)}. A mask has 0 outside the brain and one other value "
            "inside: threshold it as its makers mean it, and save that."
        )
    if not mask.any():
        raise DataError(f"{path}: the mask is empty; voxels of the brain must be above 0.")
    return mask


def _kind_of_map(values: NDArray[np.float32]) -> str:
    """What values that are no mask look like, in words."""
    low, high = float(values.min()), float(values.max())
    span = f"{low:.4g} to {high:.4g}"
    different = np.unique(values)
    if low < 0:
        return f"values of {span}, as signed distances are"
    if np.isfinite(high) and len(different) <= _MOST_LABELS and np.array_equal(different, np.rint(different)):
        shown = ", ".join(f"{value:g}" for value in different[:5])
        return f"the labels {shown}{' ...' * (len(different) > 5)}"
    if high <= 1:
        return f"values of {span}, as probabilities are"
    return f"{len(different)} different values of {span}, as an image has them"


def write_volume(path: Path, data: NDArray[Any], like: Volume, dtype: DTypeLike = np.float32) -> None:
    """Write an array on the grid and in the orientation of the file that `like` was read from.

    Parameters
    ----------
    path : Path
        Ends in ``.nii.gz`` (compressed quickly, at level 1) or ``.nii``.
    data : (i, j, k) array
        On the canonical axes of `like`.
    like : Volume
    dtype : dtype, default=float32
        As which to store the values. int16 holds whole multiples of a step that the header's slope gives, 1/32767 of
        the largest magnitude of a value: exact within half a step, 0 stays 0. Other types are not scaled.
    """
    if data.shape != like.shape:
        raise ValueError(f"{path}: shape {data.shape} is not that of {like.path.name}, {like.shape}")
    back = ornt_transform(_CANONICAL, io_orientation(like.file_affine))
    slope = 1.0
    if np.dtype(dtype) == np.int16:
        data, slope = _in_steps(data)
    stored = np.asarray(apply_orientation(data, back), dtype)
    image = nib.Nifti1Image(stored, like.file_affine)
    qform, sform = like.codes if any(like.codes) else (1, 1)
    image.set_qform(like.file_affine, code=qform)
    image.set_sform(like.file_affine, code=sform)
    image.header.set_xyzt_units("mm")
    image.header.set_slope_inter(slope, 0)
    nib.save(image, path)


def write_on_own_grid(path: Path, data: NDArray[Any], affine: NDArray[np.float64]) -> None:
    """Write an array on a grid of its own; stored as int16 in steps, see :func:`write_volume`.

    Parameters
    ----------
    path : Path
    data : (i, j, k) array
        On canonical axes.
    affine : (4, 4) array
        From its voxels to world [mm], RAS.
    """
    stored, slope = _in_steps(data)
    image = nib.Nifti1Image(stored, affine)
    image.set_qform(affine, code=1)
    image.set_sform(affine, code=1)
    image.header.set_xyzt_units("mm")
    image.header.set_slope_inter(slope, 0)
    nib.save(image, path)


def write_labels(path: Path, labels: NDArray[np.integer[Any]], like: Path) -> None:
    """Write a label map on the grid of a file: its axes, affine, qform and sform, and nothing else of its header.

    Parameters
    ----------
    path : Path
        Ends in ``.nii.gz`` or ``.nii``.
    labels : array
        Whole numbers from 0 to 65535, along the file's own axes; stored as int16, or uint16 where that is too small.
    like : Path

    Raises
    ------
    MissingError, DataError
    """
    file = open_nifti(like)
    if labels.shape != file.shape[:3]:
        raise ValueError(f"{path}: shape {labels.shape} is not that of {like.name}, {file.shape[:3]}")
    dtype = np.int16 if labels.max(initial=0) <= np.iinfo(np.int16).max else np.uint16
    image = nib.Nifti1Image(labels.astype(dtype), file.affine)
    for one, code in zip(("qform", "sform"), file.codes, strict=True):
        given = getattr(file.header, f"get_{one}")(coded=True)[0] if code else None
        getattr(image, f"set_{one}")(given, code, update_affine=False)
    image.header.set_xyzt_units("mm")
    nib.save(image, path)


def _in_steps(data: NDArray[Any]) -> tuple[NDArray[np.int16], float]:
    """Values as whole steps, and what a step is in the header's own precision (float32)."""
    most = float(np.abs(data).max())
    step = float(np.float32(most / _STEPS)) if most > 0 else 1.0
    return np.clip(np.rint(data / np.float64(step)), -_STEPS, _STEPS).astype(np.int16), step


def check_same_grid(first: Volume, second: Volume) -> None:
    """Check that two volumes have the same voxels.

    Raises
    ------
    DataError
        Naming both files, if shapes differ or any corners lie more than `GRID_TOLERANCE` apart.
    """
    if first.shape != second.shape:
        raise DataError(
            f"{first.path} and {second.path}: shapes {_times(first.shape)} and {_times(second.shape)} disagree. "
            "Both must come from the same scan on the same grid; resample or export one of them again."
        )
    apart = grids_apart(first.shape, first.affine, second.affine)
    if not apart <= GRID_TOLERANCE:
        raise DataError(
            f"{first.path} and {second.path}: their corners lie up to {apart:.3g} voxels apart (at most "
            f"{GRID_TOLERANCE:g} allowed), so their voxels are not in the same places. Export both from the same scan "
            "with the same converter."
        )


def grids_apart(shape: Sequence[int], first: NDArray[np.float64], second: NDArray[np.float64]) -> float:
    """How far apart the same voxels of two grids lie at most, which is at a corner [voxel of the first].

    What an affine's entries differ by does not tell: a turn too small to see in them moves the far end of a large
    volume, and an offset rounded to a hundredth of a millimetre moves nothing.

    Parameters
    ----------
    shape : three ints
        Of both.
    first, second : (4, 4) array
        From voxel indices to world coordinates [mm].
    """
    corners = np.array([(*corner, 1) for corner in itertools.product(*((0, n - 1) for n in shape))], float)
    voxels = np.linalg.solve(first[:3, :3], ((second - first) @ corners.T)[:3])
    return float(np.abs(voxels).max())


class _Loaded(NamedTuple):
    values: NDArray[np.float32]
    notes: tuple[str, ...]


def _load(file: NiftiFile, echo: int | None, part: Literal["magnitude", "phase"] | None) -> _Loaded:
    """The values of one volume in the file's order of axes."""
    path, shape = file.path, file.shape
    while len(shape) > 3 and shape[-1] == 1:
        shape = shape[:-1]
    if len(shape) not in (3, 4) or 0 in shape:
        raise DataError(
            f"{path}: has shape {_times(file.shape)}; a volume needs three axes (four with echoes). Coils must be "
            "combined first, other series split."
        )
    count = shape[3] if len(shape) == 4 else 1
    if count > 1 and echo is None:
        raise DataError(
            f"{path}: has 4 dimensions, {_times(shape)}: {count} echoes (or other volumes). "
            f"Say which with --echo N, 1 to {count} (and --phase-volume N where magnitude and phase lie in one file). "
            "Uncombined coils must be combined first."
        )
    if echo is not None and not 1 <= echo <= count:
        raise DataError(f"{path}: has no echo {echo}; it holds {counted(count, 'volume')}. Give --echo 1 to {count}.")
    if file.dtype.fields is not None:
        raise DataError(f"{path}: holds colours, not measured values. Export the scan itself, not a screenshot.")
    if file.dtype.kind == "c" and part is None:
        raise DataError(f"{path}: holds complex values where real ones are needed. Split it into magnitude and phase.")
    values, notes = file.values((echo or 1) - 1)
    if values.dtype.kind == "c":
        with np.errstate(all="ignore"):  # of infinite ones
            values = np.abs(values) if part == "magnitude" else np.angle(values)
    return _Loaded(values, notes)


def _canonical(
    file: NiftiFile, values: NDArray[np.float32], notes: tuple[str, ...], order: Literal["C", "F"]
) -> Volume:
    path = file.path
    _check_geometry(path, file.affine)
    orientation = io_orientation(file.affine)
    data = np.asarray(apply_orientation(values, orientation), np.float32, order=order)
    canonical = file.affine @ inv_ornt_aff(orientation, values.shape)
    return Volume(data, canonical, path, file.affine, file.codes, None, notes)


def _check_axial(volume: Volume, slice_axis: int | None) -> None:
    """Refuse sagittal and coronal slices.

    Where the voxels are not thickest from bottom to top, the slices are still axial if they are stacked that way, which
    the header says or the order of the axes, and their pixels are square.

    Parameters
    ----------
    volume : Volume
    slice_axis : int or None
        Which of the file's axes the header says they are stacked along; by the format's custom the third.

    Raises
    ------
    DataError
    """
    i, j, k = volume.zooms
    if max(i, j) <= _THICKER * k:
        return
    stacked = int(io_orientation(volume.file_affine)[2 if slice_axis is None else slice_axis, 0])
    square = max(i, j) <= _THICKER * min(i, j)
    if stacked == 2 and square:
        return
    if stacked == 2:
        axis, why = (0 if i > j else 1), "its voxels are thickest"
    else:
        axis, why = stacked, "its slices are stacked"
    raise DataError(
        f"{volume.path}: {why} along the {('left-right', 'front-back')[axis]} axis ({i:.3g} x {j:.3g} x {k:.3g} mm), "
        f"so it is a {('sagittal', 'coronal')[axis]} scan. The method works on axial slices; use an axial scan."
    )


def _check_geometry(path: Path, affine: NDArray[np.float64]) -> None:
    with np.errstate(all="ignore"):
        sizes = voxel_sizes(affine)
    if not np.isfinite([*affine.flat, *sizes]).all() or abs(np.linalg.det(affine[:3, :3])) < 1e-9:
        raise DataError(f"{path}: its header has no usable geometry (affine). Convert the scan again.")
    if not np.all((sizes > 0.01) & (sizes < 100)):
        raise DataError(f"{path}: voxels of {_times(sizes.round(4))} mm cannot be. Check the header's voxel size.")


def _header_notes(file: NiftiFile) -> tuple[str, ...]:
    notes = []
    if not any(file.codes):
        notes.append("its header gives no orientation (qform and sform codes are 0); nibabel's default was taken")
    if all(file.codes):
        try:
            with np.errstate(all="ignore"):
                difference = float(np.abs(file.header.get_qform() - file.affine).max())
        except (ValueError, nib.spatialimages.HeaderDataError):
            difference = math.nan
        if not difference <= 0.1:
            differ = "is none" if math.isnan(difference) else f"and sform differ by {difference:.3g} mm"
            notes.append(f"its qform {differ}; the sform was taken")
    sizes = voxel_sizes(file.affine)
    declared = np.asarray(file.header.get_zooms()[:3], float)
    if np.any(np.abs(sizes - declared) > 0.02 * sizes):
        notes.append(
            f"its header gives voxels of {_times(declared.round(4))} mm, its affine {_times(sizes.round(4))} mm; "
            "the affine was taken"
        )
    return tuple(notes)


def _times(numbers: Sequence[Any] | NDArray[Any]) -> str:
    return " x ".join(f"{n:g}" for n in numbers)
