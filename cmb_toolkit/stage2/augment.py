"""The paper's 24-fold augmentation of patches (section 2.3), as index arrays.

In the axial, the sagittal and the coronal direction alike, the patch is rotated by 0, 90, 180 and 270 degrees, and
the ones at 0 and 270 degrees are mirrored left-right and up-down: the eight symmetries of the square, three times
over. Of these 24, 19 are distinct: the identity comes three times and each mirroring of one axis twice. We keep all
24 as the paper does. Note that a sagittal or coronal quarter turn exchanges an in-plane axis with the slice axis;
where slices are thicker than voxels are wide, such a copy is stretched. :data:`AUGMENTATIONS` names an alternative
that leaves the slice axis in its place.

SWI and phase stand side by side in one array (16, 32, 16). Each half is turned by itself and stays in its place.
"""

from __future__ import annotations

from typing import get_args

import numpy as np
from numpy.typing import NDArray

from ..errors import UsageError
from .recipe import Augmentation

__all__ = ["AUGMENTATIONS", "epoch", "joint_index", "symmetries", "transform"]

AUGMENTATIONS: tuple[str, ...] = get_args(Augmentation)
"""``paper``: 24 copies as above. ``in-plane``: the 16 symmetries that keep the slice axis, which is what a volume with
thick slices has (8 of the square, upright and upside down). ``drawn``: these, each time moved and with other grey
values (:mod:`.drawing`). ``none``: the patch as it is."""

_PLANES = ((0, 1), (1, 2), (0, 2))  # of the axial, sagittal and coronal direction


def symmetries(name: str, size: int = 16) -> NDArray[np.int32]:
    """Symmetries of a cube of voxels.

    Parameters
    ----------
    name : str
        One of :data:`AUGMENTATIONS`.
    size : int
        Side of the cube [voxel].

    Returns
    -------
    (n, size, size, size) int32 array
        ``cube.ravel()[symmetries(...)[m]]`` is the cube under symmetry m; the first is the identity.

    Raises
    ------
    UsageError
        If the name is unknown.
    """
    cube = np.arange(size**3, dtype=np.int32).reshape(size, size, size)
    if name == "none":
        return cube[None]
    if name in ("in-plane", "drawn"):
        return np.stack([turned[:, :, ::step] for step in (1, -1) for turned in _of_square(cube, (0, 1))])
    if name == "paper":
        return np.stack([turned for plane in _PLANES for turned in _of_square(cube, plane)])
    raise UsageError(f"augmentation {name!r} is not known; choose one of {', '.join(AUGMENTATIONS)}.")


def _of_square(cube: NDArray[np.int32], plane: tuple[int, int]) -> list[NDArray[np.int32]]:
    """The paper's eight copies in one plane."""
    turned = [np.rot90(cube, quarter, plane) for quarter in range(4)]
    mirrored = [np.flip(turned[quarter], axis) for quarter in (0, 3) for axis in plane]
    return turned + mirrored


def joint_index(cubes: NDArray[np.int32]) -> NDArray[np.int32]:
    """Symmetries of SWI beside phase from those of one cube.

    Parameters
    ----------
    cubes : (n, size, size, size) int32 array
        From :func:`symmetries`.

    Returns
    -------
    (n, 2 * size**3) int32 array
        Flat indices into a (size, 2 * size, size) patch: both halves turned alike, neither leaving its place.
    """
    n, size = cubes.shape[:2]
    joint = np.arange(2 * size**3, dtype=np.int32).reshape(size, 2 * size, size)
    halves = [half.reshape(-1)[cubes] for half in (joint[:, :size], joint[:, size:])]
    return np.concatenate(halves, axis=2).reshape(n, -1)


def transform(patches: NDArray[np.float32], index: NDArray[np.int32], which: NDArray[np.intp]) -> NDArray[np.float32]:
    """Each patch under its symmetry.

    Parameters
    ----------
    patches : (n, size, 2 * size, size) float32 array
    index : (m, 2 * size**3) int32 array
        From :func:`joint_index`.
    which : (n,) integer array
        Symmetry of each patch, 0..m-1.

    Returns
    -------
    (n, size, 2 * size, size) float32 array
    """
    flat = patches.reshape(len(patches), -1)
    return np.take_along_axis(flat, index[which], axis=1).reshape(patches.shape)


def epoch(
    copies: NDArray[np.intp], n_symmetries: int, rng: np.random.Generator
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Order of the patches in one epoch and the symmetry each is shown in.

    Parameters
    ----------
    copies : (n,) integer array
        How often each patch is shown, at least once. Its copies are in different symmetries as far as there are
        enough; with as many copies as symmetries it is shown once in each, which is the paper's augmented set.
    n_symmetries : int
    rng : Generator

    Returns
    -------
    patch, symmetry : (copies.sum(),) integer arrays
        In random order.
    """
    patch = np.repeat(np.arange(len(copies)), copies)
    # a random order of the symmetries for each patch, and each copy takes the next
    shuffled = rng.random((len(copies), n_symmetries)).argsort(axis=1)
    turn = np.arange(len(patch)) - np.repeat(np.cumsum(copies) - copies, copies)
    order = rng.permutation(len(patch))
    return patch[order], shuffled[patch, turn % n_symmetries][order]
