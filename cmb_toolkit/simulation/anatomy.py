"""A procedural head: tissue fractions and signed distances of a random, plausible anatomy on a grid.

The bodies are drawn in an MNI-like frame (x right, y anterior, z superior [mm]) and seen through a random pose and a
smooth warp. No template and no data are needed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from .grid import Grid, PeriodicNoise
from .shapes import Point, Points, capsule_chain, partial_volume, rotated_about_z, smooth_minimum, superellipsoid
from .signal import Array

__all__ = ["WARP_MM", "Builder", "Head", "Pose", "make_head", "warped"]

CORTEX_MM = 2.7
FAR_MM = 50.0
"""Distance written where a body was not looked at."""

WARP_MM = 1.6
"""How far the smooth warp moves things, standard deviation along each axis."""
_WARP_WAVELENGTH_MM = 110.0
_CALLOSUM_FRONT, _CALLOSUM_BACK = 34.0, -42.0
_SULCUS_CENTRE: Point = (16.0, -18.0, 10.0)
_TEMPORAL_CENTRE: Point = (38.0, -12.0, -20.0)
"""Where sulci point to from the convexity, and from the temporal lobes (right half)."""
_SULCUS_RADII, _TEMPORAL_RADII = (66.0, 86.0, 60.0), (32.0, 58.0, 34.0)
"""How far from these points the surface lies: folds are as wide on the one as on the other."""
_DIPLOE_SHARE = 0.75


@dataclass(frozen=True)
class Pose:
    """How the anatomy's frame lies in the scanner: scale, turn about `centre`, shift.

    Attributes
    ----------
    scale : array (3,)
        Per axis of the anatomy.
    rotation : array (3, 3)
    shift : array (3,)
        [mm]
    """

    scale: Array
    rotation: Array
    shift: Array
    centre: Point = (0.0, -18.0, 8.0)

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Pose:
        scale = rng.normal(1, 0.03, 3)
        pitch, roll, yaw = np.deg2rad(rng.normal(0, (5, 2.5, 2.5)))
        about_x = np.array([[1, 0, 0], [0, np.cos(pitch), -np.sin(pitch)], [0, np.sin(pitch), np.cos(pitch)]])
        about_y = np.array([[np.cos(roll), 0, np.sin(roll)], [0, 1, 0], [-np.sin(roll), 0, np.cos(roll)]])
        about_z = np.array([[np.cos(yaw), -np.sin(yaw), 0], [np.sin(yaw), np.cos(yaw), 0], [0, 0, 1]])
        return cls(scale, about_x @ about_y @ about_z, rng.normal(0, 2, 3))

    def to_anatomy(self, points: Points) -> list[Array]:
        """Scanner coordinates (three arrays) seen from the anatomy's frame."""
        offsets = [
            np.asarray(p, np.float32) - np.float32(c + s)
            for p, c, s in zip(points, self.centre, self.shift, strict=True)
        ]
        turned: list[Array] = []
        for a in range(3):
            x, y, z = (np.float32(v / self.scale[a]) * o for v, o in zip(self.rotation[a], offsets, strict=True))
            turned.append(x + y + z + np.float32(self.centre[a]))
        return turned

    def to_scanner(self, points: npt.ArrayLike) -> Array:
        """Points (..., 3) of the anatomy's frame in the scanner, but for the small warp."""
        offsets = (np.asarray(points, float) - self.centre) * self.scale
        placed: Array = offsets @ self.rotation + self.centre + self.shift
        return placed


@dataclass(frozen=True)
class Head:
    """A head on a grid. Distances are signed [mm], negative inside, float32.

    Attributes
    ----------
    grid : Grid
    pose : Pose
    atrophy : float
        0.5 (young) to 1.8 (much): widens sulci and ventricles.
    fractions : dict of arrays
        Volume fraction of each tissue of `constants.TISSUES`; they add up to 1 in every voxel.
    brain : array
        Volume fraction of what lies within the brain's hull (tissue, sulci, ventricles).
    intracranial : array
        Distance to the inner table of the skull, which a brain extractor should find.
    cerebrum, cerebellum, brainstem, hull, sulcus, ventricle : arrays
        Distances to bodies; ``-cerebrum`` is the depth below the convexity.
    """

    grid: Grid
    pose: Pose
    atrophy: float
    fractions: dict[str, Array] = field(repr=False)
    brain: Array = field(repr=False)
    intracranial: Array = field(repr=False)
    cerebrum: Array = field(repr=False)
    cerebellum: Array = field(repr=False)
    brainstem: Array = field(repr=False)
    hull: Array = field(repr=False)
    sulcus: Array = field(repr=False)
    ventricle: Array = field(repr=False)

    @property
    def white_matter(self) -> Array:
        """Share of white matter, with its lesions."""
        lesions = self.fractions.get("white matter lesion")
        return self.fractions["white matter"] if lesions is None else self.fractions["white matter"] + lesions


def make_head(rng: np.random.Generator, grid: Grid, *, atrophy: float) -> Head:
    """Draw a head.

    Parameters
    ----------
    rng : Generator
    grid : Grid
        1 mm for a good picture; 2 mm serves for tests.
    atrophy : float
        See :class:`Head`.
    """
    pose = Pose.draw(rng)
    points = warped(rng, grid, pose)
    return Builder(rng, grid, pose, points, atrophy).build()


def warped(rng: np.random.Generator, grid: Grid, pose: Pose, amplitude_mm: float = WARP_MM) -> list[Array]:
    """Anatomical coordinates of every voxel, through the pose and a smooth random warp of this standard deviation."""
    x, y, z = grid.axes
    points = pose.to_anatomy([x[:, None, None], y[None, :, None], z[None, None, :]])
    for a in range(3):
        warp = PeriodicNoise.make(rng, 32, 8.0, _WARP_WAVELENGTH_MM, 0.25).on(grid)
        points[a] += np.float32(amplitude_mm) * warp
    return points


@dataclass
class Builder:
    """The head under construction; each method adds bodies that earlier ones have made room for."""

    rng: np.random.Generator
    grid: Grid
    pose: Pose
    points: list[Array]
    atrophy: float

    def __post_init__(self) -> None:
        self.x, self.y, self.z = self.points
        self.side = np.abs(self.x)
        self.mirrored = [self.side, self.y, self.z]

    def build(self) -> Head:
        skin = superellipsoid(self.points, (0, -16, 2), (76, 94, 94), negative_side=(76, 104, 130), power=2.2)
        self._lobes()
        self.hull = np.minimum(np.minimum(self.cerebrum, self.cerebellum), self.brainstem)
        cavity = smooth_minimum(smooth_minimum(self.cerebrum, self.brainstem, 24.0), self.cerebellum, 10.0)
        self.gap = cavity - np.float32(1.5 + 0.8 * self.atrophy)
        self.in_cerebellum = (self.cerebellum < self.cerebrum) & (self.cerebellum < self.brainstem)
        fissures = self._fissures()
        self.sulcus = np.minimum(self._sulci(), fissures)
        self.sulcus = np.minimum(self.sulcus, -(self.cerebrum + np.float32(0.6 + 1.2 * self.atrophy)))
        self._ventricles()
        nuclei = self._nuclei()
        deep = np.minimum.reduce([nuclei[k] for k in ("caudate", "putamen", "pallidum", "thalamus")])
        self.sulcus = np.where((deep < 6) | (self.brainstem < 0), np.maximum(self.sulcus, 4), self.sulcus)
        fractions = self._brain_tissues(nuclei)
        self._coverings(fractions, skin)
        return Head(
            grid=self.grid,
            pose=self.pose,
            atrophy=self.atrophy,
            fractions=fractions,
            brain=self.brain,
            intracranial=np.maximum(self.gap, skin),
            cerebrum=self.cerebrum,
            cerebellum=self.cerebellum,
            brainstem=self.brainstem,
            hull=self.hull,
            sulcus=self.sulcus,
            ventricle=self.ventricle,
        )

    # -- boxes: most bodies are small, and are only computed near themselves -------------------------------------

    def _box(self, low: Point, high: Point) -> tuple[slice, slice, slice]:
        """Voxels that hold an anatomical box, with room for the warp."""
        corners = self.pose.to_scanner(
            [(x, y, z) for x in (low[0], high[0]) for y in (low[1], high[1]) for z in (low[2], high[2])]
        )
        return self.grid.box(corners.min(0) - 6, corners.max(0) + 6)

    def _within(self, low: Point, high: Point, distance: Callable[[list[Array]], Array]) -> Array:
        """A distance that is computed inside an anatomical box and FAR_MM elsewhere."""
        box = self._box(low, high)
        full = np.full(self.grid.shape, FAR_MM, np.float32)
        if all(s.stop > s.start for s in box):
            full[box] = distance([p[box] for p in self.points])
        return full

    # -- brain ---------------------------------------------------------------------------------------------------

    def _lobes(self) -> None:
        cerebrum = superellipsoid(self.points, (0, -18, 12), (67, 86, 67), negative_side=(67, 85, 31), power=2.08)
        temporal = self._within(
            (-75, -68, -56), (75, 44, 16), lambda p: superellipsoid(_mirror(p), (41, -12, -20), (25, 43, 22))
        )
        orbitofrontal = self._within(
            (-56, -18, -40), (56, 78, 36), lambda p: superellipsoid(_mirror(p), (20, 28, -2), (23, 37, 19))
        )
        lobes = smooth_minimum(smooth_minimum(cerebrum, temporal, 8.0), orbitofrontal, 10.0)
        # no two hemispheres are alike, and none is an ellipsoid
        self.cerebrum = lobes + np.float32(0.5) * PeriodicNoise.make(self.rng, 48, 5.0, 48.0, 0.35).on(self.grid)

        def cerebellum(p: list[Array]) -> Array:
            hemispheres = smooth_minimum(
                superellipsoid(p, (24, -64, -37), (29, 30, 22)), superellipsoid(p, (-24, -64, -37), (29, 30, 22)), 8.0
            )
            return smooth_minimum(hemispheres, superellipsoid(p, (0, -62, -38), (15, 25, 22)), 8.0)

        self.cerebellum = self._within((-70, -112, -76), (70, -14, 4), cerebellum)

        def brainstem(p: list[Array]) -> Array:
            core = capsule_chain(
                p,
                [(0, -15, -4), (0, -24, -18), (0, -27, -33), (0, -38, -58), (0, -46, -95)],
                [14, 12.5, 12, 8.5, 7.5],
            )
            pons = superellipsoid(p, (0, -24, -31), (18, 13, 13))
            peduncles = capsule_chain(_mirror(p), [(11, -32, -32), (22, -50, -34)], [8, 6])
            return smooth_minimum(smooth_minimum(core, pons, 5.0), peduncles, 5.0)

        self.brainstem = self._within((-36, -74, -110), (36, 20, 30), brainstem)

    def _fissures(self) -> Array:
        """Interhemispheric and Sylvian fissures: sheets of CSF."""
        y, z, side = self.y, self.z, self.side
        # The callosum is an arch whose ends fall off steeply; before and behind it the fissure goes down to the base.
        beyond = np.maximum(np.maximum(y - _CALLOSUM_FRONT, _CALLOSUM_BACK - y), 0)
        within = np.clip(y, _CALLOSUM_BACK, _CALLOSUM_FRONT)
        arch: Array = 26 - np.float32(0.012) * (within + 4) ** 2 - 3 * beyond
        self.callosum_top = np.maximum(arch, np.float32(-40))
        width = np.float32(0.7 + 0.5 * self.atrophy)
        midline: Array = np.maximum(side - width, np.maximum(arch, np.float32(-22)) - z)

        def sylvian(p: list[Array]) -> Array:
            lateral = np.abs(p[0])
            height = p[2] - (-10 + np.float32(0.32) * (-p[1] - 5) + np.float32(0.25) * (lateral - 40))
            sheet: Array = np.abs(height) - np.float32(0.3 + 0.45 * self.atrophy)
            bounded: Array = np.maximum(sheet, np.maximum(31 - lateral, np.abs(p[1] + 6) - 32))
            return bounded

        return np.minimum(midline, self._within((-80, -40, -40), (80, 28, 20), sylvian))

    def _sulci(self) -> Array:
        """Distance to cortical sulci: zero sheets of noise that depends on direction more than on depth.

        The noise is read at positions pulled towards the surface along the radius, so its zero sheets stand on the
        surface; |noise| over its gradient is the distance to the sheet.
        """
        near = self.cerebrum < 1.0
        x, y, z = (p[near] for p in self.points)
        share = np.clip((np.float32(2) - z) / np.float32(22), 0, 1)
        centre, radii = (
            [np.float32(a) + share * np.float32(b - a) for a, b in zip(convexity, temporal, strict=True)]
            for convexity, temporal in ((_SULCUS_CENTRE, _TEMPORAL_CENTRE), (_SULCUS_RADII, _TEMPORAL_RADII))
        )
        offsets = [x - np.sign(x) * centre[0], y - centre[1], z - centre[2]]
        radius = np.sqrt(sum((o / s) ** 2 for o, s in zip(offsets, radii, strict=True))) + np.float32(1e-3)
        pull = np.float32(0.2) + np.float32(0.8) / radius
        folds = PeriodicNoise.make(self.rng, 96, 2.0, 21.0, 0.25)
        fundus = PeriodicNoise.make(self.rng, 64, 4.0, 60.0, 0.4)
        self.wobble = PeriodicNoise.make(self.rng, 96, 2.0, 16.0, 0.4)
        moved = []
        for a in range(3):
            shift = self.wobble.on(self.grid, 40.0 * a)[near]  # far enough apart to be independent
            moved.append(offsets[a] * pull + np.float32(2.5) * shift)
        values = folds(*moved)
        sheet = np.zeros(self.grid.shape, np.float32)
        sheet[near] = values
        slope: Array = np.zeros(self.grid.shape, np.float32)
        for a in range(3):
            along: Array = np.asarray(np.gradient(sheet, self.grid.spacing[a], axis=a))
            slope += along * along
        distance = np.abs(values) / (np.sqrt(slope[near]) + np.float32(0.02))
        depth = -self.cerebrum[near]
        from_midline = np.abs(x) - 1 + 2 * np.maximum(self.callosum_top[near] + 4 - z, 0)
        depth = np.minimum(depth, from_midline + 8)
        deepest = 19 - 8 * share + 6 * fundus.on(self.grid)[near]
        half_width = np.float32(0.35 + 0.55 * self.atrophy) * (
            np.float32(1.15) - np.float32(0.6) * np.clip(depth / 22, 0, 1)
        )
        below = depth - deepest
        full = np.full(self.grid.shape, FAR_MM, np.float32)
        beside = distance - half_width
        full[near] = np.where(below < 0, beside, np.sqrt(np.maximum(beside, 0) ** 2 + below**2))
        return full

    def _ventricles(self) -> None:
        size = 0.95 + 0.45 * self.atrophy

        def lateral(p: list[Array]) -> Array:
            m = _mirror(p)
            body = capsule_chain(
                m,
                [(9, 31, -2), (8, 22, 8), (9, 6, 18), (12, -18, 20), (20, -38, 15), (25, -46, 6)],
                [r * size for r in (2.2, 4.0, 3.6, 3.6, 5.0, 5.2)],
            )
            occipital = capsule_chain(m, [(25, -46, 6), (25, -64, 4), (23, -78, 4)], [4.5 * size, 2.8 * size, 1.0])
            temporal = capsule_chain(
                m, [(25, -46, 6), (32, -34, -8), (32, -14, -17)], [4 * size, 1.8 * size, 1.8 * size]
            )
            slit = [np.maximum(m[0] - np.float32(0.6 * size), 0), m[1], m[2]]
            third = superellipsoid(slit, (0, -12, 0), (1.6 * size, 17, 11))
            return np.minimum(np.minimum(body, occipital), np.minimum(temporal, third))

        self.ventricle = self._within((-46, -92, -32), (46, 44, 38), lateral)
        self.fourth_ventricle = self._within(
            (-22, -62, -52), (22, -30, -14), lambda p: superellipsoid(p, (0, -46, -33), (7 * size, 6, 10))
        )

    def _nuclei(self) -> dict[str, Array]:
        def turned(centre: Point, semi_axes: Point, angle: float) -> Callable[[list[Array]], Array]:
            return lambda p: superellipsoid(rotated_about_z(_mirror(p), centre, angle), centre, semi_axes)

        def caudate(p: list[Array]) -> Array:
            m = _mirror(p)
            head = superellipsoid(m, (14, 15, 6), (5.5, 10, 9))
            return np.minimum(head, capsule_chain(m, [(14, 12, 10), (17, -4, 20), (20, -22, 20)], [4.5, 3.2, 1.8]))

        def dentate(p: list[Array]) -> Array:
            body = turned((15, -57, -34), (5.5, 9, 6), -25)(p)
            crumple = self.wobble(p[0] * 2, p[1] * 2, p[2] * 2)
            return np.maximum(np.abs(body + np.float32(1.2) * crumple) - np.float32(1.3), body - 2)

        core = (-46, -40, -16), (46, 44, 38)
        midbrain = (-30, -40, -24), (30, 4, 6)
        return {
            "pallidum": self._within(*core, turned((19.5, -2, 0), (4.2, 9.5, 6.5), 28)),
            "putamen": self._within(*core, turned((27, 3, 2), (5.0, 16.5, 11), 14)),
            "caudate": self._within(*core, caudate),
            "thalamus": self._within(*core, turned((12, -18, 7), (8.5, 15, 9), 25)),
            "red nucleus": self._within(
                *midbrain, lambda p: superellipsoid(_mirror(p), (5.5, -20, -8), (3.2, 3.6, 4.2))
            ),
            "substantia nigra": self._within(*midbrain, turned((10.5, -16, -12), (2.3, 7.5, 3.6), -38)),
            "dentate": self._within((-30, -76, -46), (30, -40, -22), dentate),
        }

    def _brain_tissues(self, nuclei: dict[str, Array]) -> dict[str, Array]:
        cerebrum, cerebellum, stem = self.cerebrum, self.cerebellum, self.brainstem
        self.brain = np.maximum.reduce([partial_volume(d) for d in (cerebrum, cerebellum, stem)])
        in_cerebellum = self.in_cerebellum
        folia = self._within(
            (-70, -112, -76),
            (70, -14, 4),
            lambda p: self.wobble(p[0] * 0.5, p[1] * 1.3, p[2] * 3.2 + np.float32(0.3) * np.abs(p[1])),
        )
        folia_csf = np.maximum(
            np.abs(folia) * np.float32(1.7) - np.float32(0.12 + 0.3 * self.atrophy), -cerebellum - 11
        )
        cerebellar_csf = np.minimum(folia_csf, -cerebellum - np.float32(0.8 + 0.7 * self.atrophy))
        covered = (stem < -1) | ((cerebellum < cerebrum - 1) & (cerebellum < 0))
        csf = np.minimum(np.where(covered, np.float32(60), self.sulcus), self.ventricle)
        csf = np.where(in_cerebellum, cerebellar_csf, csf)
        tentorium = np.maximum(np.abs(cerebellum - cerebrum) - np.float32(1.2), np.minimum(cerebellum, cerebrum) - 3)
        tentorium = np.where(stem < 0, np.float32(FAR_MM), tentorium)
        cistern = np.maximum.reduce([stem - 3.5, -stem, self.z + 13, (self.y + 4) * np.float32(0.7)])
        csf = np.minimum.reduce([csf, self.fourth_ventricle, tentorium, cistern])

        fractions: dict[str, Array] = {"csf": partial_volume(csf) * self.brain}
        rest = self.brain - fractions["csf"]
        for name, distance in nuclei.items():
            share = partial_volume(distance, 0.96) * np.clip(rest, 0, 1)
            fractions[name] = share
            rest -= share
        away = np.where(stem < 2, np.float32(FAR_MM), self.sulcus)
        cortex = partial_volume(away - np.float32(CORTEX_MM), 0.8) * (1 - fractions["csf"])
        cortex *= (cerebrum < np.minimum(cerebellum, stem + 2)) & (self.ventricle > 1.5)
        fractions["cortex"] = np.minimum(cortex, np.clip(rest, 0, 1))
        rest -= fractions["cortex"]
        foliate = partial_volume(cerebellar_csf - np.float32(1.6), 0.8) * (1 - fractions["csf"]) * in_cerebellum
        fractions["cerebellar cortex"] = np.minimum(foliate, np.clip(rest, 0, 1))
        rest -= fractions["cerebellar cortex"]
        fractions["white matter"] = np.clip(rest, 0, 1)
        return fractions

    # -- round the brain -----------------------------------------------------------------------------------------

    def _coverings(self, fractions: dict[str, Array], skin: Array) -> None:
        """Subarachnoid rim, skull, scalp, muscle and air, added to `fractions` in place."""
        in_head = partial_volume(skin)
        cavity = partial_volume(self.gap)
        fractions["csf"] = fractions["csf"] + np.clip(in_head * cavity - self.brain, 0, 1)
        inside = sum(fractions.values())
        air = partial_volume(self._sinuses(), 0.8) * in_head * (self.gap > 1)
        thickness = np.float32(6.5) + np.float32(1.2) * PeriodicNoise.make(self.rng, 48, 5.0, 45.0, 0.35).on(self.grid)
        base = np.clip((-self.z - 12) / np.float32(15), 0, 1) * np.clip((self.y + 60) / np.float32(20), 0, 1)
        thickness += 6 * base  # sphenoid, clivus and petrous bones
        skull = partial_volume(np.maximum(self.gap - thickness, skin + np.float32(3.5)))
        spine = self.brainstem < 13  # below the skull the vertebrae go on round the cord
        skull = np.clip(in_head * skull - inside, 0, 1) * ((self.z > -62) | spine) * (1 - air)
        # between two tables of compact bone lies marrow, where the skull is thick and above its base
        between = np.minimum(self.gap - np.float32(1.8), thickness - np.float32(2.0) - self.gap)
        diploe = partial_volume(-between, 0.8) * np.clip((self.z + 12) / np.float32(15), 0, 1)
        for share in fractions.values():
            np.multiply(share, 1 - air, out=share)
        fractions["marrow"] = skull * diploe * np.float32(_DIPLOE_SHARE)
        fractions["bone"] = skull - fractions["marrow"]
        eyes = self._within(
            (-46, 40, -54), (46, 76, -24), lambda p: superellipsoid(_mirror(p), (32, 58, -39), (12, 12, 12))
        )
        orbits = self._within(
            (-54, 20, -60), (54, 78, -16), lambda p: superellipsoid(_mirror(p), (30, 50, -38), (18, 26, 17))
        )
        soft = np.clip(in_head - inside - skull - air, 0, 1)
        vitreous = soft * partial_volume(eyes)
        fractions["csf"] += vitreous
        soft -= vitreous
        fat = np.maximum(partial_volume(-skin - np.float32(6.5), 1.28), partial_volume(orbits))
        planes = np.clip(np.float32(0.4) * self.wobble.on(self.grid, 20.0) - np.float32(0.2), 0, 1)
        fractions["scalp"] = soft * np.maximum(fat, planes)
        fractions["muscle"] = soft - fractions["scalp"]
        fractions["air"] = np.clip(1 - sum(fractions.values()), 0, 1)

    def _sinuses(self) -> Array:
        """Air cells: frontal, ethmoid, sphenoid, maxillary, mastoid, ear canals."""
        rng = self.rng
        cells: list[tuple[Point, Point, bool]] = [
            ((rng.normal(0, 3), 76, -2), (rng.uniform(14, 26), 5.5, rng.uniform(8, 14)), False),
            ((0, 56, -40), (11, 26, 15), False),
            ((rng.normal(0, 2), 26, -36), (rng.uniform(9, 13), 12, 10), False),
            ((31, 50, -60), (12, 15, 16), True),
            ((50, -36, -42), (6, 10, 9), True),
            ((62, -22, -38), (10, 3, 3), True),
        ]
        nearest = np.full(self.grid.shape, FAR_MM, np.float32)
        for centre, semi_axes, paired in cells:
            reach = [(centre[a] - semi_axes[a] - 4, centre[a] + semi_axes[a] + 4) for a in range(3)]
            if paired:
                reach[0] = -reach[0][1], reach[0][1]
            box = self._box((reach[0][0], reach[1][0], reach[2][0]), (reach[0][1], reach[1][1], reach[2][1]))
            if all(s.stop > s.start for s in box):
                part = [p[box] for p in self.points]
                nearest[box] = np.minimum(
                    nearest[box], superellipsoid(_mirror(part) if paired else part, centre, semi_axes)
                )
        return nearest


def _mirror(points: Sequence[Array]) -> list[Array]:
    """The same points folded to the right half of the head."""
    return [np.abs(points[0]), points[1], points[2]]
