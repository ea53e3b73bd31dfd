"""What looks like a microbleed and is none.

Veins, the most frequent mimics, are :mod:`cmb_toolkit.simulation.veins`' matter; what the rim of the brain and the
sinuses do comes out of the field by itself.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .anatomy import Head
from .arteries import BENDS
from .constants import TISSUES
from .lesions import Lesion, ball
from .signal import Array
from .vessels import Vessel

__all__ = ["draw_deposits", "draw_flow_voids", "draw_perivascular_spaces"]

_CSF = TISSUES["csf"]


def draw_deposits(rng: np.random.Generator, head: Head) -> list[Lesion]:
    """Draw calcifications and mineralised vessels of the pallidum.

    Calcifications are diamagnetic: dark on magnitude, opposite in phase. Mineralised vessels are paramagnetic and
    elongated.
    """
    place = head.pose.to_scanner
    found: list[Lesion] = []

    def calcify(
        region: str,
        centre: Array,
        *,
        radius: tuple[float, float],
        ppm: tuple[float, float],
        n: int = 1,
        spread: float = 0,
    ) -> None:
        size = rng.uniform(*radius)
        spheres = [ball(centre, size)]
        for _ in range(n - 1):
            spheres.append(ball(centre + rng.normal(0, spread, 3), size * rng.uniform(0.5, 1)))
        ppm_drawn = -float(rng.uniform(*ppm))
        found.append(Lesion("calcification", region, spheres[0].centre, tuple(spheres), ppm_drawn, 12.0, 0.35))

    if rng.random() < 0.75:
        calcify("pineal", place(rng.normal((0, -31, 3), 1)), radius=(0.9, 2.2), ppm=(0.8, 2.5), n=3, spread=1.2)
    for side in (-1, 1):
        if rng.random() < 0.65:
            calcify(
                "choroid plexus",
                place(rng.normal((side * 25, -46, 8), (1, 2, 1.5))),
                radius=(0.7, 2),
                ppm=(0.6, 2),
                n=4,
                spread=1.8,
            )
        for _ in range(rng.poisson(0.5)):
            calcify(
                "pallidum",
                place(rng.normal((side * 19, -1, 0), (1.5, 4, 3))),
                radius=(0.4, 0.9),
                ppm=(0.6, 2),
                n=2,
                spread=0.8,
            )
    if rng.random() < 0.25:
        spot = (rng.normal(0, 0.4), rng.uniform(10, 50), rng.uniform(35, 55))
        calcify("falx", place(spot), radius=(0.8, 2), ppm=(0.8, 2.5), n=2, spread=1.5)
    f = head.fractions
    parenchyma = (head.cerebrum < -4) & (head.cerebrum < head.cerebellum) & (f["cortex"] + head.white_matter > 0.8)
    voxels = np.flatnonzero(parenchyma)
    for _ in range(rng.poisson(0.7 * len(voxels) * float(np.prod(head.grid.spacing)) / 900e3)):
        index = np.array(np.unravel_index(voxels[rng.integers(len(voxels))], head.grid.shape))
        calcify("parenchyma", head.grid.position(index), radius=(0.5, 1.6), ppm=(0.6, 2.2))
    for _ in range(rng.poisson(1.2)):
        centre = place(rng.normal((rng.choice((-1, 1)) * 19, -1, -1), (2, 5, 3)))
        along = rng.normal(size=3)
        along /= np.linalg.norm(along)
        radius = rng.uniform(0.25, 0.45)
        spheres = tuple(ball(centre + along * t, radius) for t in np.linspace(-2, 2, 7))
        ppm = float(rng.uniform(0.5, 1.0))
        found.append(Lesion("mineralised vessel", "pallidum", spheres[3].centre, spheres, ppm, 15.0, 0.8))
    return found


def draw_flow_voids(rng: np.random.Generator, arteries: Sequence[Vessel]) -> list[Lesion]:
    """Draw where fast or turbulent blood leaves no signal: short pieces of large arteries, mostly at bends.

    They are black on magnitude without any phase of their own.
    """
    found = []
    for artery in arteries:
        if rng.random() > BENDS[artery.kind]:
            continue
        middle = int(rng.uniform(0.15, 0.85) * len(artery.points))
        step = float(np.linalg.norm(np.diff(artery.points, axis=0), axis=1).mean())
        half = max(1, round(rng.uniform(1.5, 4) / step))
        piece = slice(max(0, middle - half), middle + half + 1)
        every = max(1, round(0.8 / step))
        spheres = tuple(
            ball(point, 1.05 * radius)
            for point, radius in zip(artery.points[piece][::every], artery.radii[piece][::every], strict=True)
        )
        centre = spheres[len(spheres) // 2].centre
        found.append(Lesion("flow void", artery.kind, centre, spheres, 0.0, 10.0, 0.05))
    return found


def draw_perivascular_spaces(rng: np.random.Generator, head: Head) -> list[Lesion]:
    """Draw tubes of CSF round penetrating vessels: in the white matter towards the ventricle, in the basal ganglia
    upright; more of them where there is more atrophy."""
    found = []
    f, grid = head.fractions, head.grid
    white = (head.white_matter > 0.95) & (head.ventricle > 6) & (head.cerebrum < -9)
    white &= (head.cerebrum < head.cerebellum) & (grid.axis(2) > 10)[None, None, :]
    ganglia = f["putamen"] > 0.8
    for region, where, per_ml, radii in (
        ("white matter", white, 0.02, (0.45, 1.0)),
        ("basal ganglia", ganglia, 0.25, (0.45, 1.1)),
    ):
        voxels = np.flatnonzero(where)
        mean = per_ml * head.atrophy * len(voxels) * float(np.prod(grid.spacing)) / 1000
        for _ in range(rng.poisson(mean)):
            index = np.unravel_index(voxels[rng.integers(len(voxels))], grid.shape)
            centre = grid.position(np.array(index) + rng.uniform(-0.5, 0.5, 3))
            along = np.array([0.0, 0.0, 1.0])
            if region == "white matter":
                along = grid.direction(head.ventricle, centre[None], step_mm=2.0)[0]
            along = along + rng.normal(0, 0.15, 3)
            along /= max(float(np.linalg.norm(along)), 1e-6)
            radius, half = rng.uniform(*radii), rng.uniform(1.5, 4)
            spheres = tuple(ball(centre + along * t, radius) for t in np.arange(-half, half, 1.2 * radius))
            middle = spheres[len(spheres) // 2].centre
            tissue = (_CSF.t2star_ms, _CSF.proton_density, _CSF.t1_ms)
            found.append(Lesion("perivascular space", region, middle, spheres, 0.0, *tissue))
    return found
