"""The same marks counted another way: what a reader may have meant who was taken to count otherwise."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..model import LABEL_AXES, LabelAxes
from .marks import labels_to_canonical, voxels_to_canonical, world_to_canonical
from .orient import canonical_grid

__all__ = ["Counting", "Way", "base_step", "counting_of", "other_ways"]

Voxels = NDArray[np.int_]
_AXES = ("first", "second", "slice")


@dataclass(frozen=True)
class Counting:
    """How the marks of a study were said to count.

    Attributes
    ----------
    layout : {"authors", "bids", "table", ""}
        How they were imported; empty where it is not known.
    base : {0, 1}
        What the first voxel is called.
    axes : {"voxel", "array", "image"}
        What x and y count; see :func:`cmb_toolkit.io.marks.labels_to_canonical`.
    on : str
        Role of the file whose voxels they were said to count; empty where nobody said.
    """

    layout: Literal["authors", "bids", "table", ""] = ""
    base: int = 0
    axes: LabelAxes = "voxel"
    on: str = ""


@dataclass(frozen=True)
class Way:
    """Another way of counting.

    Attributes
    ----------
    name : str
        As it stands after "counted".
    remedy : str
        What to do if it is the right one.
    """

    name: str
    remedy: str


def counting_of(record: Mapping[str, Any] | None) -> Counting:
    """How a table of marks was imported, from its provenance."""
    said = record["parameters"] if record is not None and record.get("step") == "import" else {}
    layout, base, axes = said.get("layout"), said.get("label_base", 0), said.get("label_axes", "voxel")
    if layout not in ("authors", "bids", "table") or base not in (0, 1) or axes not in LABEL_AXES:
        return Counting()
    return Counting(layout, base, axes, str(said.get("marks_on") or ""))


def other_ways(
    voxels: ArrayLike,
    shape: Sequence[int],
    affine: ArrayLike,
    counting: Counting,
    files: Mapping[str, tuple[Sequence[int], ArrayLike]] | None = None,
) -> Iterator[tuple[Way, Voxels]]:
    """Every other way in which marks may count, and where each would put them.

    First those that an option settles, then world coordinates of the other convention, then axes that are mirrored or
    exchanged. What is one voxel off is not among them.

    Parameters
    ----------
    voxels : (n, 3) array-like of int
        Where they are now, on canonical axes.
    shape, affine
        Of the file, along its own axes.
    counting : Counting
        What put them there.
    files : mapping, optional
        Shape and affine of the subject's other files, by role: marks may count on one that is stored in another order.

    Yields
    ------
    Way
    (n, 3) integer array
        i, j, k on canonical axes; anywhere, inside the volume or not.
    """
    own = _along_file(voxels, shape, affine)
    labels = _labels(own, shape, affine, counting)
    for role, (other_shape, other_affine) in (files or {}).items():
        moved = labels_to_canonical(labels, other_shape, other_affine, base=counting.base, axes=counting.axes)
        if counting.layout and not np.array_equal(moved, np.asarray(voxels).reshape(-1, 3)):
            command = f"`cmbtk import {counting.layout} --marks-on {role}`"
            yield Way(f"as {command} does", "import again with this option"), moved
    if counting.layout == "authors":
        for axes in LABEL_AXES:
            if axes == counting.axes:
                continue
            for base in (counting.base, 1 - counting.base):
                moved = labels_to_canonical(labels, shape, affine, base=base, axes=axes)
                command = f"`cmbtk import authors --label-base {base} --label-axes {axes}`"
                yield Way(f"as {command} does", "import again with these options"), moved
        again = "correct the sheets and import again"
    else:
        _, canonical = canonical_grid(shape, affine)
        world = np.asarray(voxels, float).reshape(-1, 3) @ canonical[:3, :3].T + canonical[:3, 3]
        again = "correct the table of marks and import again" if counting.layout else "correct the table of marks"
        yield (
            Way("with x and y in LPS", f"flip the sign of x_mm and y_mm (LPS): {again}"),
            world_to_canonical(world * (-1, -1, 1), shape, affine),
        )
    last = np.asarray(shape[:3]) - 1
    for exchanged, flips in product((False, True), product((False, True), repeat=3)):
        if not exchanged and not any(flips):
            continue
        turned = own[:, [1, 0, 2]] if exchanged else own
        turned = np.where(flips, last - turned, turned)
        yield Way(_said(exchanged, flips), again), voxels_to_canonical(turned, shape, affine)


def base_step(shape: Sequence[int], affine: ArrayLike, counting: Counting) -> NDArray[np.int_]:
    """Which way marks would move on canonical axes if their first voxel had been called by the other number."""
    origin = np.ones((1, 3), int)
    if counting.layout == "authors" and counting.axes == "image":
        one, other = (
            labels_to_canonical(origin, shape, affine, base=base, axes="image")
            for base in (counting.base, 1 - counting.base)
        )
    else:
        other = voxels_to_canonical(origin + counting.base - (1 - counting.base), shape, affine)
        one = voxels_to_canonical(origin, shape, affine)
    step: NDArray[np.int_] = (other - one)[0]
    return step


def _said(exchanged: bool, flips: Sequence[bool]) -> str:
    parts = ["with the first and the second axis exchanged"] if exchanged else []
    ends = [name for name, flipped in zip(_AXES, flips, strict=True) if flipped]
    if ends:
        parts.append(f"from the other end of the {' and the '.join(ends)} axis")
    return " and ".join(parts)


def _along_file(voxels: ArrayLike, shape: Sequence[int], affine: ArrayLike) -> Voxels:
    """Canonical voxel indices as indices along the file's own axes."""
    points = np.asarray(voxels, dtype=int).reshape(-1, 3)
    steps = voxels_to_canonical(np.vstack([np.zeros((1, 3), int), np.eye(3, dtype=int)]), shape, affine)
    turn = steps[1:] - steps[0]  # a signed permutation, so that its transpose undoes it
    return np.asarray((points - steps[0]) @ turn.T, dtype=int)


def _labels(own: Voxels, shape: Sequence[int], affine: ArrayLike, counting: Counting) -> Voxels:
    """The labels slice, x, y that were read, from voxel indices along the file's own axes."""
    first, second, slices = own.T
    if counting.axes == "voxel":
        x, y = first, second
    elif counting.axes == "array":
        x, y = second, first
    else:
        (ni, nj, _), _ = canonical_grid(shape, affine)
        i, j, _ = voxels_to_canonical(own, shape, affine).T
        x, y = ni - 1 - i, nj - 1 - j
    return np.stack([slices, x, y], axis=1) + counting.base
