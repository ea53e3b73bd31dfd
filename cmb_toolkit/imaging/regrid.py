"""Other voxel sizes: a scan as if it had been acquired with those that a model was trained on.

Axes keep their directions and the field of view its middle. Magnitude and phase go together as complex values, as a
scanner's receiver would have averaged them; each axis by a cubic kernel (Keys 1981), widened by the factor where voxels
become larger, so that nothing is sampled more finely than the new voxels can show.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from ..errors import DataError
from .clean import Acquired, UnusableError
from .phase import PhaseScale, alternating_slices, phase_scale, to_radians, without_alternation
from .recipe import Cleaning

__all__ = ["Regridded", "nearest", "regrid"]

_REACH = 2.0  # of the cubic kernel, in samples
_SAME = 1e-3  # voxels that lie no further apart are the same
_SOME = 0.02  # share of a new voxel that was not finite and spoils it


@dataclass(frozen=True)
class Regridded:
    """A scan on other voxels.

    Attributes
    ----------
    scan : Acquired
    affine : (4, 4) array
        From the new voxels to world coordinates [mm].
    scale : PhaseScale or None
        What the file's phase values were; None where they were complex.
    """

    scan: Acquired
    affine: NDArray[np.float64]
    scale: PhaseScale | None


def regrid(scan: Acquired, affine: NDArray[np.float64], voxel_mm: Sequence[float], recipe: Cleaning) -> Regridded:
    """Give a scan other voxels.

    Parameters
    ----------
    scan : Acquired
    affine : (4, 4) array
        Of its voxels [mm].
    voxel_mm : three floats
        The sides that they shall have.
    recipe : Cleaning
        Its `phase_range` and `fix_ge_phase` are obeyed here.

    Raises
    ------
    UnusableError
        If the unit of the phase is not known, or it jumps by pi from slice to slice, which would cancel.
    """
    scale = None
    radians = scan.phase
    if not scan.polar:
        invalid = scan.invalid.get("phase")
        try:
            scale = phase_scale(scan.phase if invalid is None else scan.phase[~invalid], recipe.phase_range)
        except DataError as error:
            raise UnusableError("phase", error) from error
        radians = to_radians(scan.phase, scale)
    if alternating_slices(radians, scan.structure > np.median(scan.structure)):
        if not recipe.fix_ge_phase:
            raise UnusableError(
                "phase",
                "it jumps by about pi from slice to slice, as some GE reconstructions make it, and cannot be given "
                "other voxels like this. Undo it with --fix-ge-phase.",
            )
        radians = without_alternation(radians)
    weight = scan.structure
    signal = np.empty(radians.shape, np.complex64)
    signal.real, signal.imag = weight * np.cos(radians), weight * np.sin(radians)
    matrices = [_weights(n, old, new) for n, old, new in zip(weight.shape, scan.spacing, voxel_mm, strict=True)]
    averaged = _apply(matrices, signal)
    new = replace(
        scan,
        phase=np.angle(averaged).astype(np.float32),
        magnitude=None if scan.magnitude is None else np.abs(averaged).astype(np.float32),
        swi=None if scan.swi is None else np.maximum(_apply(matrices, scan.swi), 0),
        spacing=tuple(voxel_mm),
        invalid={name: _apply(matrices, where.astype(np.float32)) > _SOME for name, where in scan.invalid.items()},
        polar=True,
    )
    return Regridded(new, affine @ _between(weight.shape, scan.spacing, voxel_mm), scale)


def nearest(
    volume: NDArray[Any], affine: NDArray[np.float64], shape: Sequence[int], onto: NDArray[np.float64]
) -> NDArray[Any]:
    """A volume of labels on another grid: each voxel has the value of the one that holds its centre; 0 outside.

    Parameters
    ----------
    volume : (i, j, k) array
    affine : (4, 4) array
        From its voxels to world coordinates [mm].
    shape, onto
        Of the grid that is wanted.
    """
    to_old = np.linalg.inv(affine) @ onto
    whole = np.rint(to_old[:3]).astype(int)
    turns = np.abs(whole[:, :3])
    apart = np.abs(to_old[:3] - whole) @ [*shape, 1]
    if (apart < _SAME).all() and (turns.sum(axis=0) == 1).all() and (turns.sum(axis=1) == 1).all():
        return _turned(volume, whole, shape)
    result = np.zeros(tuple(shape), volume.dtype)
    i, j = np.meshgrid(np.arange(shape[0]), np.arange(shape[1]), indexing="ij")
    for k in range(shape[2]):  # slice by slice: coordinates of a whole head take a gigabyte
        places = to_old[:3, :3] @ np.stack([i.ravel(), j.ravel(), np.full(i.size, k)]) + to_old[:3, 3:]
        index = np.floor(places + 0.5).astype(np.intp)
        inside = ((index >= 0) & (index < np.array(volume.shape)[:, None])).all(axis=0)
        plane = np.zeros(i.size, volume.dtype)
        plane[inside] = volume[tuple(index[:, inside])]
        result[:, :, k] = plane.reshape(i.shape)
    return result


def _turned(volume: NDArray[Any], to_old: NDArray[np.int_], shape: Sequence[int]) -> NDArray[Any]:
    """The same voxels in another order of axes: most scans are looked at on their own."""
    axes = np.abs(to_old[:, :3]).argmax(axis=1)  # the new one that each old one follows
    taken: list[Any] = [None] * 3
    filled: list[Any] = [None] * 3
    for old, new in enumerate(axes):
        index = to_old[old, new] * np.arange(shape[new]) + to_old[old, 3]
        inside = (index >= 0) & (index < volume.shape[old])
        taken[old], filled[new] = index[inside], np.flatnonzero(inside)
    result = np.zeros(tuple(shape), volume.dtype)
    result[np.ix_(*filled)] = volume[np.ix_(*taken)].transpose(np.argsort(axes))
    return result


def _count(n: int, old: float, new: float) -> int:
    return max(1, round(n * old / new))


def _between(shape: Sequence[int], old: Sequence[float], new: Sequence[float]) -> NDArray[np.float64]:
    """From new voxels to old ones; both fields of view have one middle."""
    matrix = np.eye(4)
    for axis, (n, before, after) in enumerate(zip(shape, old, new, strict=True)):
        ratio = after / before
        matrix[axis, axis] = ratio
        matrix[axis, 3] = (n - 1) / 2 - ratio * (_count(n, before, after) - 1) / 2
    return matrix


def _weights(n: int, old: float, new: float) -> csr_array | None:
    """What each new sample along an axis takes of the old ones, (new, old); None where nothing changes."""
    ratio = new / old
    count = _count(n, old, new)
    if ratio == 1:
        return None
    wide = max(1.0, ratio)
    places = (n - 1) / 2 + ratio * (np.arange(count) - (count - 1) / 2)
    reach = int(np.ceil(_REACH * wide))
    nodes = np.floor(places).astype(int)[:, None] + np.arange(-reach, reach + 1)
    weights = _cubic((nodes - places[:, None]) / wide)
    weights /= weights.sum(axis=1, keepdims=True)
    rows = np.repeat(np.arange(count), nodes.shape[1])
    return csr_array((weights.ravel(), (rows, np.clip(nodes, 0, n - 1).ravel())), shape=(count, n))


def _cubic(x: NDArray[np.float64]) -> NDArray[np.float64]:
    x = np.abs(x)
    near = (1.5 * x - 2.5) * x**2 + 1
    far = ((-0.5 * x + 2.5) * x - 4) * x + 2
    return np.where(x <= 1, near, np.where(x < _REACH, far, 0.0))


def _apply(matrices: Sequence[csr_array | None], volume: NDArray[Any]) -> NDArray[Any]:
    for axis, matrix in enumerate(matrices):
        if matrix is not None:
            moved = np.moveaxis(volume, axis, 0)
            flat = np.ascontiguousarray(moved).reshape(len(moved), -1)
            mixed = matrix.astype(flat.real.dtype) @ flat
            volume = np.moveaxis(mixed.reshape(-1, *moved.shape[1:]), 0, axis)
    return np.ascontiguousarray(volume)
