"""Microbleeds: where they lie, how large they are, what they are made of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from .anatomy import Head
from .grid import Grid
from .signal import Array, sphere_field

__all__ = ["Lesion", "MicrobleedSites", "Sphere", "ball", "draw_microbleed"]

Kind = Literal["microbleed", "calcification", "mineralised vessel", "flow void", "perivascular space"]

_REGIONS = {"lobar": 0.62, "deep": 0.24, "infratentorial": 0.14}
"""Where microbleeds lie, as shares (docs/simulator.md)."""


@dataclass(frozen=True)
class Sphere:
    """A ball in scanner axes [mm]."""

    centre: tuple[float, float, float]
    radius: float


@dataclass(frozen=True)
class Lesion:
    """A body made of balls with a signal, and mostly a susceptibility, of its own.

    Attributes
    ----------
    kind, region : str
    centre : 3 floats
        [mm], scanner axes.
    spheres : tuple of Sphere
        They may overlap.
    susceptibility_ppm : float
        Relative to brain; positive (paramagnetic) for blood products, negative for calcium.
    t2star_ms, proton_density, t1_ms : float
        Of the inside.
    """

    kind: Kind
    region: str
    centre: tuple[float, float, float]
    spheres: tuple[Sphere, ...]
    susceptibility_ppm: float
    t2star_ms: float
    proton_density: float
    t1_ms: float = 1200.0

    @property
    def radius(self) -> float:
        """Radius of one ball of the same volume (overlaps counted twice) [mm]."""
        return float(sum(s.radius**3 for s in self.spheres) ** (1 / 3))

    @property
    def extent(self) -> float:
        """Radius about `centre` that holds every ball [mm]."""
        return max(float(np.linalg.norm(np.subtract(s.centre, self.centre))) + s.radius for s in self.spheres)

    @property
    def far_reach(self) -> float:
        """Distance beyond which its field does not matter [mm]."""
        return 8 + 9 * self.radius if self.susceptibility_ppm else self.extent

    def patch_reach(self, phase_per_ppm: float) -> float:
        """Distance within which the signal needs fine sampling [mm].

        Where the phase changes by pi across a 2 mm voxel, half as far again, and the lesion itself.
        """
        strength = 4 * phase_per_ppm * abs(self.susceptibility_ppm) * self.radius**3 / np.pi
        return float(1.5 * strength**0.25 + max(self.radius, self.extent) + 1.5)

    def field(self, axes: Sequence[Array], b0_direction: Sequence[float] = (0.0, 0.0, 1.0)) -> Array:
        """Field shift [ppm] on the grid of three axes [mm], exact for each ball; `b0_direction` is a unit vector."""
        total = np.zeros(tuple(len(a) for a in axes), np.float32)
        if self.susceptibility_ppm == 0:
            return total
        for sphere in self.spheres:
            total += sphere_field(
                *_offsets(axes, sphere),
                radius_mm=sphere.radius,
                susceptibility_ppm=self.susceptibility_ppm,
                b0_direction=b0_direction,
            )
        return total

    def volume_fractions(self, axes: Sequence[Array]) -> list[Array]:
        """Share of each voxel of a fine grid that lies in each ball, with edges one voxel wide."""
        edge = float(np.mean([a[1] - a[0] for a in axes]))
        fractions = []
        for sphere in self.spheres:
            dx, dy, dz = _offsets(axes, sphere)
            distance = np.sqrt(dx * dx + dy * dy + dz * dz)
            fractions.append(np.clip((sphere.radius - distance) / edge + 0.5, 0, 1).astype(np.float32))
        return fractions


def _offsets(axes: Sequence[Array], sphere: Sphere) -> tuple[Array, Array, Array]:
    x, y, z = (np.asarray(a - c, np.float32) for a, c in zip(axes, sphere.centre, strict=True))
    return x[:, None, None], y[None, :, None], z[None, None, :]


@dataclass(frozen=True)
class MicrobleedSites:
    """The voxels of the anatomy where a microbleed may lie, by region."""

    grid: Grid
    voxels: dict[str, npt.NDArray[np.integer[Any]]]

    @classmethod
    def of(cls, head: Head, low: Sequence[float], high: Sequence[float]) -> MicrobleedSites:
        """Sites between two corners [mm]."""
        f = head.fractions
        allowed = np.zeros(head.grid.shape, bool)
        allowed[head.grid.box(low, high)] = True
        in_cerebrum = (head.cerebrum < head.cerebellum) & (head.cerebrum < -2.5) & (head.cerebrum > -24)
        masks = {
            "lobar": in_cerebrum & (f["cortex"] + head.white_matter > 0.8),
            "deep": f["putamen"] + f["thalamus"] + f["caudate"] + f["pallidum"] > 0.5,
            "infratentorial": ((head.cerebellum < -4) | (head.brainstem < -3))
            & (head.white_matter + f["cerebellar cortex"] > 0.8),
        }
        found = {name: np.flatnonzero(mask & allowed) for name, mask in masks.items()}
        return cls(head.grid, {name: voxels for name, voxels in found.items() if len(voxels)})

    def draw(self, rng: np.random.Generator) -> tuple[str, Array]:
        """A region and a point (3,) [mm] in it."""
        names = list(self.voxels)
        shares = np.array([_REGIONS[n] for n in names])
        region = names[rng.choice(len(names), p=shares / shares.sum())]
        voxel = self.voxels[region][rng.integers(len(self.voxels[region]))]
        index = np.array(np.unravel_index(voxel, self.grid.shape))
        return region, self.grid.position(index + rng.uniform(-0.5, 0.5, 3))


def draw_microbleed(rng: np.random.Generator, sites: MicrobleedSites, median_radius_mm: float) -> Lesion:
    """Draw a microbleed: a ball of haemosiderin, in 30 % of cases with a second one on it.

    Radius log-normal (sigma 0.42, 0.35 to 3.5 mm), susceptibility log-normal about 1.3 ppm (0.4 to 4).
    """
    region, centre = sites.draw(rng)
    radius = float(np.clip(rng.lognormal(np.log(median_radius_mm), 0.42), 0.35, 3.5))
    susceptibility = float(np.clip(rng.lognormal(np.log(1.3), 0.45), 0.4, 4))
    spheres = [ball(centre, radius)]
    if rng.random() < 0.3 and radius > 0.6:
        spheres.append(ball(centre + rng.normal(0, 0.7 * radius, 3), radius * rng.uniform(0.5, 0.8)))
    return Lesion(
        "microbleed",
        region,
        spheres[0].centre,
        tuple(spheres),
        susceptibility,
        t2star_ms=float(rng.uniform(4, 12)),
        proton_density=float(rng.uniform(0.5, 0.9)),
    )


def ball(centre: Array, radius: float) -> Sphere:
    """A ball from an array."""
    return Sphere((float(centre[0]), float(centre[1]), float(centre[2])), float(radius))
