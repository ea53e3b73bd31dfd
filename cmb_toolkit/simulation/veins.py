"""Random veins.

Veins are what a detector mistakes for microbleeds: in cross-section a vein is a dark round spot. Walks are advanced
all together; each kind is steered by the anatomy (along a sulcus, over the convexity, towards a ventricle).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from .anatomy import Head
from .grid import Grid
from .signal import Array
from .vessels import Landmark, Vessel, through_landmarks

__all__ = ["grow_veins"]


def grow_veins(rng: np.random.Generator, head: Head, density: float = 1.0) -> list[Vessel]:
    """Draw the veins of a head.

    Parameters
    ----------
    density : float
        1 gives about 900 veins in a whole head; the large sinuses are always there.
    """
    return [
        *_sulcal(rng, head, density),
        *_pial(rng, head, density),
        *_medullary(rng, head, density),
        *_central_and_dural(rng, head),
        *_cerebellar(rng, head, density),
    ]


# -- kinds of veins ----------------------------------------------------------------------------------------------


def _sulcal(rng: np.random.Generator, head: Head, density: float) -> list[Vessel]:
    """Veins that run in the sulci towards the convexity; in axial slices most are cut across."""
    grid, sulcus, depth = head.grid, head.sulcus, -head.cerebrum
    where = (np.abs(sulcus) < 0.9) & (depth > 2) & (depth < 26) & (head.cerebrum < head.cerebellum)

    def steer(points: Array, _: Array) -> Array:
        across = grid.direction(sulcus, points)
        outward = -grid.direction(depth, points)
        along = outward - (outward * across).sum(1, keepdims=True) * across
        off_sheet = np.clip(grid.lookup(sulcus, points), -1.5, 1.5)[:, None]
        return _unit(along) - 0.8 * off_sheet * across

    veins = []
    for per_ml, steps, thin, thick in (
        (0.41, 70, (0.20, 0.38), (0.40, 0.95)),
        (1.02, 30, (0.12, 0.26), (0.20, 0.45)),
    ):
        start = _seeds(rng, grid, where, density * per_ml)
        heading = _unit(rng.standard_normal(start.shape) - grid.direction(depth, start))
        paths = _walk(rng, start, heading, steer, steps=steps, step_mm=0.5, inertia=0.8, jitter=0.16)
        first, last = rng.uniform(*thin, len(start)), rng.uniform(*thick, len(start))
        for path, a, b in zip(paths, first, last, strict=True):
            length = _stops(grid.lookup(depth, path) > -1.0)
            if length >= 6:
                veins.append(Vessel(path[:length], np.linspace(a, b, length), "sulcal"))
    return veins


def _pial(rng: np.random.Generator, head: Head, density: float) -> list[Vessel]:
    """Veins over the convexity towards the superior sagittal sinus."""
    grid, depth = head.grid, -head.cerebrum
    upper = (grid.axis(2) > 0)[None, None, :]
    where = (np.abs(depth - 0.4) < 0.8) & (head.cerebrum < head.cerebellum) & upper

    def steer(points: Array, _: Array) -> Array:
        normal = grid.direction(depth, points)
        wish = np.stack([-0.03 * points[:, 0], -0.012 * (points[:, 1] + 18), np.full(len(points), 0.6)], 1)
        along = wish - (wish * normal).sum(1, keepdims=True) * normal
        off_surface = np.clip(0.3 - grid.lookup(depth, points), -1.5, 1.5)[:, None]
        wanted: Array = _unit(along) + 0.6 * off_surface * normal
        return wanted

    start = _seeds(rng, grid, where, density * 0.55)
    paths = _walk(
        rng, start, _unit(rng.standard_normal(start.shape)), steer, steps=90, step_mm=0.6, inertia=0.85, jitter=0.12
    )
    veins = []
    for path in paths:
        length = _stops(np.abs(path[:, 0]) > 2.0)
        radii = np.linspace(rng.uniform(0.35, 0.6), rng.uniform(0.7, 1.3), length)
        if length > 10:
            veins.append(Vessel(path[:length], radii, "pial"))
    return veins


def _medullary(rng: np.random.Generator, head: Head, density: float) -> list[Vessel]:
    """Thin veins from the deep white matter to the ventricle's wall: the brush round the lateral ventricles."""
    grid, ventricle = head.grid, head.ventricle
    deep = (ventricle > 6) & (ventricle < 24) & (head.white_matter > 0.9)
    where = deep & (head.cerebrum < -12) & (head.cerebrum < head.cerebellum)
    start = _seeds(rng, grid, where, density * 1.42)

    def steer(points: Array, _: Array) -> Array:
        return -grid.direction(ventricle, points)

    veins = []
    for path in _walk(rng, start, steer(start, start), steer, steps=60, step_mm=0.5, inertia=0.85, jitter=0.05):
        length = _stops(grid.lookup(ventricle, path) > 0.3)
        radii = np.linspace(rng.uniform(0.09, 0.20), rng.uniform(0.16, 0.42), length)
        if length > 8:
            veins.append(Vessel(path[:length], radii, "medullary"))
    return veins


def _cerebellar(rng: np.random.Generator, head: Head, density: float) -> list[Vessel]:
    """Veins on the surface of the cerebellum."""
    grid, cerebellum = head.grid, head.cerebellum
    where = (np.abs(cerebellum + 1.0) < 0.8) & (head.cerebrum > 2)
    start = _seeds(rng, grid, where, density * 1.64)

    def steer(points: Array, heading: Array) -> Array:
        normal = grid.direction(cerebellum, points)
        along = heading - (heading * normal).sum(1, keepdims=True) * normal
        off_surface = np.clip(grid.lookup(cerebellum, points) + 0.8, -1.5, 1.5)[:, None]
        wanted: Array = _unit(along) - 0.6 * off_surface * normal
        return wanted

    paths = _walk(
        rng, start, _unit(rng.standard_normal(start.shape)), steer, steps=40, step_mm=0.5, inertia=0.85, jitter=0.15
    )
    return [Vessel(path, np.linspace(0.12, rng.uniform(0.25, 0.6), len(path)), "cerebellar") for path in paths]


def _central_and_dural(rng: np.random.Generator, head: Head) -> list[Vessel]:
    """Deep veins and dural sinuses through landmarks of the anatomy's frame."""
    to_scanner = head.pose.to_scanner

    def drawn(landmarks: Sequence[Landmark], n: int, smoothing: float) -> Array:
        return to_scanner(through_landmarks(landmarks, n, smoothing))

    def jittered(landmarks: Sequence[Landmark], side: int) -> list[Landmark]:
        moved = [np.array(p, float) * (side, 1, 1) + rng.normal(0, 0.8, 3) for p in landmarks]
        return [(float(p[0]), float(p[1]), float(p[2])) for p in moved]

    thalamostriate_and_internal = [
        (17, -10, 20), (14, 2, 16), (8, 4, 13), (2.6, 1, 11), (2.0, -14, 14), (1.8, -30, 13), (0.6, -40, 10),
    ]  # fmt: skip
    septal = [(5, 26, 10), (2.6, 16, 11), (2.2, 3, 12)]
    basal = [(14, -6, -18), (16, -20, -10), (10, -34, 0), (2, -40, 8)]
    veins = []
    for side in (-1, 1):
        path = drawn(jittered(thalamostriate_and_internal, side), 160, 6)
        veins.append(Vessel(path, np.linspace(0.45, 1.2, 160), "deep"))
        veins.append(Vessel(drawn(jittered(septal, side), 80, 5), np.linspace(0.3, 0.6, 80), "deep"))
        veins.append(Vessel(drawn(jittered(basal, side), 120, 6), np.linspace(0.4, 1.0, 120), "deep"))
        transverse = [(side * x, y, z) for x, y, z in
                      ((2, -100, -8), (30, -92, -16), (54, -70, -22), (56, -50, -30), (44, -38, -56))]  # fmt: skip
        veins.append(Vessel(drawn(transverse, 300, 12), np.full(300, rng.uniform(2.2, 3.6)), "sinus"))
    sagittal = [(0, 62, 26), (0, 40, 60), (0, 0, 79), (0, -40, 76), (0, -80, 48), (0, -101, 10), (0, -103, -8)]
    veins.append(Vessel(drawn(sagittal, 600, 15), np.linspace(1.2, 3.8, 600), "sinus"))
    straight = [(0, -40, 10), (0, -60, 4), (0, -85, -4), (0, -101, -8)]
    veins.append(Vessel(drawn(straight, 160, 6), np.full(160, 1.8), "sinus"))
    return veins


# -- walking -----------------------------------------------------------------------------------------------------


def _seeds(rng: np.random.Generator, grid: Grid, where: npt.NDArray[np.bool_], per_ml: float) -> Array:
    """Random points (n, 3) [mm] in the voxels of a mask, so many per millilitre of it."""
    voxels = np.flatnonzero(where)
    n = round(per_ml * len(voxels) * float(np.prod(grid.spacing)) / 1000)
    if n == 0:
        return np.zeros((0, 3))
    chosen = voxels[rng.integers(len(voxels), size=n)]
    indices = np.stack(np.unravel_index(chosen, where.shape), 1)
    return grid.position(indices + rng.uniform(-0.5, 0.5, (n, 3)))


def _walk(
    rng: np.random.Generator,
    start: Array,
    heading: Array,
    steer: Callable[[Array, Array], Array],
    *,
    steps: int,
    step_mm: float,
    inertia: float,
    jitter: float,
) -> Array:
    """Advance all walkers together; ``steer(points, headings)`` is where each would like to go. (n, steps + 1, 3)."""
    points = start.copy()
    paths = [points]
    for _ in range(steps):
        wish = inertia * heading + (1 - inertia) * 2 * steer(points, heading)
        heading = _unit(wish + jitter * rng.standard_normal(points.shape))
        points = points + step_mm * heading
        paths.append(points)
    return np.stack(paths, 1)


def _unit(vectors: Array) -> Array:
    lengths = np.linalg.norm(vectors, axis=-1, keepdims=True)
    unit: Array = vectors / np.maximum(lengths, 1e-6)
    return unit


def _stops(going: npt.NDArray[np.bool_]) -> int:
    """How many steps are taken before the first that is not `going`."""
    return int(np.argmin(going)) if not going.all() else len(going)
