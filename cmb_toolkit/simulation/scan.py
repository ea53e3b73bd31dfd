"""One simulated scan: anatomy, veins, fields, lesions, signal and acquisition put together.

The complex signal of every acquisition voxel is the mean over sub-voxels of ``S exp(i phi)``. The phase is the sum of
three parts that are computed apart because the field is linear in the sources: head and air on the coarse grid of the
anatomy, veins on a fine grid over the brain, lesions from exact formulas on a very fine grid round each of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import scipy.fft

from ..errors import UsageError
from .acquisition import DIFFICULTIES, PROTOCOLS, SCANNERS, Difficulty, Protocol, Scanner, acquire, kspace_support
from .anatomy import Head, make_head
from .constants import AIR_PPM, IRON_RICH, TISSUES, Tissue, venous_susceptibility
from .grid import Grid, PeriodicNoise
from .lesions import Lesion, MicrobleedSites, draw_microbleed, draw_mimics
from .signal import Array, dipole_field
from .veins import grow_veins, vein_fraction

T = TypeVar("T")
Window = tuple[slice, slice, slice]

__all__ = ["PlacedLesion", "Scan", "Scene", "simulate_scan"]

SEPARATION_MM = 12.0
"""Least distance between the centres of two microbleeds: nearer ones would be read as one (boxes are 10 mm wide)."""

MIMIC_SEPARATION_MM = 6.0
_EDGE_SLICES = 2
"""A microbleed's slice has at least so many slices on both sides, because inputs average over neighbours."""
_DRAWS = 60
"""Most tries for each microbleed; about every second one can be seen and has room."""
_PATCH_LIMIT_MM = 16.0
_FIELD_PADDING_MM = 16.0
_VEIN_MARGIN_MM = 6.0
_LESION_T1_MS = 1200.0
_SMOOTH_FIELD_MM = 4.0
"""Beyond this distance from its surface a lesion's field may be interpolated."""


@dataclass(frozen=True)
class PlacedLesion:
    """A lesion in a scan, and how it shows there.

    Attributes
    ----------
    lesion : Lesion
    voxel : 3 ints
        The mark a reader would set: on the slice where the lesion takes away most signal, at the middle of the dark
        spot; 0-based.
    position : 3 floats
        Exact centre in voxels.
    contrast : float
        Largest relative loss of magnitude, noise-free.
    snr : float
        Matched-filter signal to noise of the loss.
    diameter_mm : float
        Apparent diameter on that slice (loss above 30 %).
    """

    lesion: Lesion
    voxel: tuple[int, int, int]
    position: tuple[float, float, float]
    contrast: float
    snr: float
    diameter_mm: float


@dataclass(frozen=True)
class Scan:
    """A simulated scan; arrays are (i, j, k) on RAS+ axes.

    Attributes
    ----------
    magnitude : array, float32
        White matter is about 1.
    phase : array, float32
        Wrapped, radians, paramagnetic positive.
    intracranial, brain : arrays, bool
        Inside of the skull; brain tissue.
    veins : array, float32
        Volume fraction of venous blood.
    affine : array (4, 4)
        Voxel to scanner [mm].
    microbleeds, mimics : tuple of PlacedLesion
    drawn : dict
        Every other number that was drawn, JSON-able.
    """

    protocol: Protocol
    scanner: Scanner
    difficulty: Difficulty
    magnitude: Array = field(repr=False)
    phase: Array = field(repr=False)
    intracranial: npt.NDArray[np.bool_] = field(repr=False)
    brain: npt.NDArray[np.bool_] = field(repr=False)
    veins: Array = field(repr=False)
    affine: Array
    microbleeds: tuple[PlacedLesion, ...]
    mimics: tuple[PlacedLesion, ...]
    drawn: dict[str, Any]


def simulate_scan(
    seed: int | np.random.SeedSequence,
    protocol: str | Protocol,
    *,
    microbleeds: int = 4,
    healthy: bool = False,
    scanner: str | Scanner = "scanner-a",
    difficulty: str | Difficulty = "paper",
) -> Scan:
    """Simulate the scan of one subject.

    Parameters
    ----------
    seed : int or SeedSequence
        Equal seeds and parameters give equal scans.
    protocol : str or Protocol
        A name of `PROTOCOLS` or a protocol of one's own.
    microbleeds : int
        How many visible microbleeds; 0 for a healthy subject. Mimics come on top.
    healthy : bool
        A healthy control has less atrophy and no microbleed.
    scanner : str or Scanner
        Decides noise and non-uniformity here; sign and storage of the phase are for the writer.
    difficulty : str or Difficulty
        Vein density, noise, size and least visibility of the microbleeds.

    Raises
    ------
    UsageError
        For unknown names, a healthy subject with microbleeds, or more microbleeds than find room.
    """
    protocol = _named(protocol, PROTOCOLS, "protocol")
    scanner = _named(scanner, SCANNERS, "scanner")
    difficulty = _named(difficulty, DIFFICULTIES, "difficulty")
    if microbleeds < 0 or (healthy and microbleeds):
        raise UsageError(f"{microbleeds} microbleeds asked for in a {'healthy' if healthy else 'diseased'} subject.")
    sequence = seed if isinstance(seed, np.random.SeedSequence) else np.random.SeedSequence(seed)
    # Own random numbers for every part, so that one part can change without shuffling the others.
    anatomy, tissue, veins, mimics, bleeds, noise = (
        np.random.default_rng(np.random.SeedSequence(sequence.entropy, spawn_key=(*sequence.spawn_key, n)))
        for n in range(6)
    )
    grid = _acquisition_grid(protocol, anatomy)
    atrophy = float(anatomy.uniform(0.5, 1.0) if healthy else anatomy.uniform(0.6, 1.8))
    head = make_head(anatomy, _anatomy_grid(protocol, grid), atrophy=atrophy)
    scene = Scene.make(
        protocol=protocol,
        scanner=scanner,
        difficulty=difficulty,
        grid=grid,
        head=head,
        rng=tissue,
        vein_rng=veins,
    )
    false_lesions = draw_mimics(mimics, head)
    true_lesions = _place_microbleeds(bleeds, scene, head, false_lesions, microbleeds)
    ideal, placed = scene.image([*false_lesions, *(t.lesion for t in true_lesions)])
    image = acquire(ideal, protocol, noise=scene.noise, rng=noise)
    axes = grid.axes
    return Scan(
        protocol=protocol,
        scanner=scanner,
        difficulty=difficulty,
        magnitude=np.abs(image) / np.float32(scene.white_matter),
        phase=np.angle(image),
        intracranial=head.grid.resample(head.intracranial, axes) < 0,
        brain=head.grid.resample(head.brain - head.fractions["csf"], axes) > 0.5,
        veins=scene.vein_share(),
        affine=_affine(grid),
        microbleeds=tuple(true_lesions),
        mimics=tuple(p for p in placed if p.lesion.kind != "microbleed"),
        drawn={
            "atrophy": atrophy,
            "pose": {k: np.round(getattr(head.pose, k), 6).tolist() for k in ("scale", "rotation", "shift")},
            **scene.drawn,
        },
    )


def _named(given: str | T, known: dict[str, T], what: str) -> T:
    if not isinstance(given, str):
        return given
    if given not in known:
        raise UsageError(f"{what} {given!r} is not known; choose one of {', '.join(known)}.")
    return known[given]


def _acquisition_grid(protocol: Protocol, rng: np.random.Generator) -> Grid:
    centre = (0.0, -16.0, rng.normal(protocol.slab_centre_mm, protocol.slab_spread_mm))
    origin = [c - (n - 1) / 2 * v for c, n, v in zip(centre, protocol.matrix, protocol.voxel_mm, strict=True)]
    return Grid((origin[0], origin[1], origin[2]), protocol.voxel_mm, protocol.matrix)


def _anatomy_grid(protocol: Protocol, grid: Grid) -> Grid:
    """The head's box, at least 80 mm high so that the nearest sources of field are in it."""
    height = protocol.matrix[2] * protocol.voxel_mm[2]
    middle = grid.origin[2] + (height - protocol.voxel_mm[2]) / 2
    half = max(40.0, height / 2 + 18)
    return Grid.covering((-92, -124, middle - half), (92, 96, middle + half), protocol.anatomy_mm)


def _affine(grid: Grid) -> Array:
    affine = np.diag([*grid.spacing, 1.0])
    affine[:3, 3] = grid.origin
    return affine


@dataclass
class Scene:
    """Everything of a scan but its lesions."""

    protocol: Protocol
    grid: Grid
    """Acquisition."""
    coarse: Grid
    """Anatomy."""
    fine: Grid
    """Sub-voxels over the brain."""
    box: tuple[slice, slice]
    """Acquisition voxels in the plane that the fine grid covers."""
    signal: Array
    """Without blood and lesions, on `coarse`."""
    background_phase: Array
    """Head, air, shim and receiver, on `coarse` [rad]."""
    veins: Array
    """Volume fraction, on `fine`."""
    vein_phase: Array
    """On `fine` [rad]."""
    white_matter: float
    blood: float
    noise: float
    radius: float
    """Median of a microbleed [mm]."""
    least_contrast: float
    least_snr: float
    drawn: dict[str, Any]

    @classmethod
    def make(
        cls,
        *,
        protocol: Protocol,
        scanner: Scanner,
        difficulty: Difficulty,
        grid: Grid,
        head: Head,
        rng: np.random.Generator,
        vein_rng: np.random.Generator,
    ) -> Scene:
        iron = float(rng.normal(1, 0.15))
        oxygenation = float(rng.uniform(0.52, 0.66))
        signal = np.zeros(head.grid.shape, np.float32)
        susceptibility = np.zeros(head.grid.shape, np.float32)
        for name, share in head.fractions.items():
            tissue = TISSUES[name]
            signal += share * np.float32(protocol.signal(tissue))
            ppm = tissue.susceptibility_ppm * (iron if name in IRON_RICH else 1)
            susceptibility += share * np.float32(ppm)
        signal *= 1 + np.float32(0.02) * PeriodicNoise.make(rng, 48, 4.0, 12.0, 0.5).on(head.grid)
        signal *= _receive_bias(rng, head.grid, scanner.bias_factor)
        phase, shim = _background_phase(rng, protocol, head, susceptibility)
        white_matter = protocol.signal(TISSUES["white matter"])
        snr = protocol.snr * scanner.snr_factor * difficulty.snr_factor

        fine, box, margin = _fine_grid(protocol, grid, head)
        veins = vein_fraction(grow_veins(vein_rng, head, difficulty.vein_density), fine)
        vein_field = dipole_field(veins, fine.spacing, padding_mm=(_FIELD_PADDING_MM,) * 3)
        inner = slice(margin, fine.shape[2] - margin)
        vein_field = np.ascontiguousarray(vein_field[:, :, inner])
        vein_field *= np.float32(venous_susceptibility(oxygenation) * protocol.phase_per_ppm)
        origin = fine.position((0, 0, margin))
        fine = Grid((origin[0], origin[1], origin[2]), fine.spacing, vein_field.shape)
        return cls(
            protocol=protocol,
            grid=grid,
            coarse=head.grid,
            fine=fine,
            box=box,
            signal=signal,
            background_phase=phase,
            veins=np.ascontiguousarray(veins[:, :, inner]),
            vein_phase=vein_field,
            white_matter=white_matter,
            blood=protocol.signal(TISSUES["venous blood"]),
            noise=white_matter / snr,
            radius=protocol.microbleed_radius_mm * difficulty.radius_factor,
            least_contrast=min(0.6, protocol.minimum_contrast * difficulty.visibility_factor),
            least_snr=protocol.minimum_snr * difficulty.visibility_factor,
            drawn={"iron": iron, "venous_oxygenation": oxygenation, "snr": snr, "shim_error": shim},
        )

    # -- the image -----------------------------------------------------------------------------------------------

    def image(self, lesions: Sequence[Lesion]) -> tuple[npt.NDArray[np.complex64], list[PlacedLesion]]:
        """Noise-free complex image on the acquisition grid, before k-space, and how each lesion inside it shows."""
        image = self._without_veins()
        phase = self.vein_phase.copy()
        for lesion in lesions:
            reach = lesion.far_reach
            near = self.fine.box(np.subtract(lesion.centre, reach).tolist(), np.add(lesion.centre, reach).tolist())
            if all(s.stop > s.start for s in near):
                axes = [axis[s] for axis, s in zip(self.fine.axes, near, strict=True)]
                phase[near] += np.float32(self.protocol.phase_per_ppm) * lesion.field(axes)
        self._add_brain(image, phase)
        del phase
        placed = []
        for lesion in lesions:
            window = self.window(lesion)
            if window is not None:
                present, absent = self.patch(window, lesion, lesions)
                image[window] = present
                placed.append(self._appearance(lesion, window, present, absent))
        return image, placed

    def _without_veins(self) -> npt.NDArray[np.complex64]:
        """The whole head without sub-voxels: good enough outside the brain, where it stays."""
        x, y, z = self.grid.axes
        image = np.zeros(self.grid.shape, np.complex64)
        for k in range(len(z)):
            plane = [x, y, z[k : k + 1]]
            signal = self.coarse.resample(self.signal, plane)[:, :, 0]
            phase = self.coarse.resample(self.background_phase, plane)[:, :, 0]
            image.real[:, :, k] = signal * np.cos(phase)
            image.imag[:, :, k] = signal * np.sin(phase)
        return image

    def _add_brain(self, image: npt.NDArray[np.complex64], phase: Array) -> None:
        """Write the brain's box into `image` from fine sub-voxels whose vein and lesion phase is `phase`."""
        fx, fy, fz = self.protocol.fine
        x, y, z = self.fine.axes
        nx, ny = len(x) // fx, len(y) // fy
        for k in range(self.grid.shape[2]):
            total = np.zeros((len(x), len(y)), np.complex64)
            for q in range(k * fz, (k + 1) * fz):
                plane = [x, y, z[q : q + 1]]
                veins = self.veins[:, :, q]
                signal = self.coarse.resample(self.signal, plane)[:, :, 0]
                signal = signal * (1 - veins) + veins * np.float32(self.blood)
                signal *= _dephasing(phase, q)
                angle = phase[:, :, q] + self.coarse.resample(self.background_phase, plane)[:, :, 0]
                total.real += signal * np.cos(angle)
                total.imag += signal * np.sin(angle)
            image[(*self.box, k)] = total.reshape(nx, fx, ny, fy).mean((1, 3)) / fz

    def vein_share(self) -> Array:
        """Volume fraction of blood in the acquisition's voxels."""
        fx, fy, fz = self.protocol.fine
        n = self.veins.shape
        blocks = self.veins.reshape(n[0] // fx, fx, n[1] // fy, fy, n[2] // fz, fz).mean((1, 3, 5))
        share = np.zeros(self.grid.shape, np.float32)
        share[self.box] = blocks
        return share

    # -- lesions -------------------------------------------------------------------------------------------------

    def window(self, lesion: Lesion) -> Window | None:
        """Acquisition voxels round a lesion that need fine sampling; None if it lies outside the volume."""
        reach = min(lesion.patch_reach(self.protocol.phase_per_ppm), _PATCH_LIMIT_MM)
        low = np.floor(self.grid.index(np.subtract(lesion.centre, reach))).astype(int)
        high = np.ceil(self.grid.index(np.add(lesion.centre, reach))).astype(int) + 1
        i, j, k = (slice(max(0, int(a)), min(n, int(b))) for a, b, n in zip(low, high, self.grid.shape, strict=True))
        return (i, j, k) if all(s.stop > s.start for s in (i, j, k)) else None

    def patch(
        self, window: Window, lesion: Lesion, lesions: Sequence[Lesion]
    ) -> tuple[npt.NDArray[np.complex64], npt.NDArray[np.complex64]]:
        """Noise-free voxels of a window with all `lesions`, and with all but `lesion`."""
        factors = self.protocol.lesion_fine
        axes = []
        for a in range(3):
            edge = self.grid.axis(a)[window[a].start] - self.grid.spacing[a] / 2
            step = self.grid.spacing[a] / factors[a]
            axes.append(edge + step * (np.arange((window[a].stop - window[a].start) * factors[a]) + 0.5))
        per_ppm = np.float32(self.protocol.phase_per_ppm)
        phase = self.fine.resample(self.vein_phase, axes)
        phase += self.coarse.resample(self.background_phase, axes)
        veins = self.fine.resample(self.veins, axes)
        signal = self.coarse.resample(self.signal, axes)
        signal += veins * (np.float32(self.blood) - signal)
        low, high = (np.array([axis[end] for axis in axes]) for end in (0, -1))
        for other in lesions:
            if other is lesion:
                continue
            gap = float(np.linalg.norm(np.maximum(np.maximum(low - other.centre, np.subtract(other.centre, high)), 0)))
            if gap > other.far_reach:
                continue
            if gap > other.extent + _SMOOTH_FIELD_MM:
                phase += per_ppm * _interpolated_field(other, axes)
                continue
            phase += per_ppm * other.field(axes)
            self._fill(signal, other, axes)
        shape = [n for f, s in zip(factors, window, strict=True) for n in (s.stop - s.start, f)]

        def voxels() -> npt.NDArray[np.complex64]:
            image = np.empty([s.stop - s.start for s in window], np.complex64)
            image.real = (signal * np.cos(phase)).reshape(shape).mean((1, 3, 5))
            image.imag = (signal * np.sin(phase)).reshape(shape).mean((1, 3, 5))
            return image

        absent = voxels()
        phase += per_ppm * lesion.field(axes)
        self._fill(signal, lesion, axes)
        return voxels(), absent

    def _fill(self, signal: Array, lesion: Lesion, axes: Sequence[Array]) -> None:
        """Give the inside of a lesion its own signal, in place."""
        inside = self.protocol.signal(Tissue(_LESION_T1_MS, lesion.t2star_ms, lesion.proton_density, 0.0))
        for share in lesion.volume_fractions(axes):
            signal += share * (np.float32(inside) - signal)

    def appearance(self, lesion: Lesion, lesions: Sequence[Lesion]) -> PlacedLesion | None:
        """How a lesion shows among `lesions` (of which it is one); None if it lies outside the volume."""
        window = self.window(lesion)
        return None if window is None else self._appearance(lesion, window, *self.patch(window, lesion, lesions))

    def _appearance(
        self,
        lesion: Lesion,
        window: Window,
        present: npt.NDArray[np.complex64],
        absent: npt.NDArray[np.complex64],
    ) -> PlacedLesion:
        before = np.abs(absent)
        loss = before - np.abs(absent + _through_kspace(present - absent, self.protocol))
        contrast = float((loss / np.maximum(before, 0.2 * self.white_matter)).max())
        seen = np.maximum(loss, 0)
        k = int(np.argmax((seen**2).sum((0, 1))))
        spot = np.argwhere(loss[:, :, k] > 0.5 * loss[:, :, k].max())
        weights = loss[spot[:, 0], spot[:, 1], k]
        i, j = np.average(spot, axis=0, weights=weights) if weights.sum() > 0 else (0.0, 0.0)
        area = float((loss[:, :, k] > 0.3 * before[:, :, k]).sum()) * self.grid.spacing[0] * self.grid.spacing[1]
        position = self.grid.index(lesion.centre)
        return PlacedLesion(
            lesion,
            voxel=(window[0].start + round(i), window[1].start + round(j), window[2].start + k),
            position=(float(position[0]), float(position[1]), float(position[2])),
            contrast=contrast,
            snr=float(np.sqrt((seen**2).sum()) / self.noise),
            diameter_mm=float(2 * np.sqrt(area / np.pi)),
        )


def _interpolated_field(lesion: Lesion, axes: Sequence[Array], step: int = 4) -> Array:
    """Field of a lesion that is some way off, from every fourth point along each axis."""
    spacing = [float(a[1] - a[0]) * step for a in axes]
    shape = [(len(a) - 1) // step + 2 for a in axes]
    sparse = Grid(
        (float(axes[0][0]), float(axes[1][0]), float(axes[2][0])),
        (spacing[0], spacing[1], spacing[2]),
        (shape[0], shape[1], shape[2]),
    )
    return sparse.resample(lesion.field(sparse.axes), axes)


def _place_microbleeds(
    rng: np.random.Generator, scene: Scene, head: Head, mimics: Sequence[Lesion], wanted: int
) -> list[PlacedLesion]:
    """Draw microbleeds until so many are found that a radiologist could have marked."""
    if not wanted:
        return []
    protocol = scene.protocol
    grid, (i, j) = scene.grid, scene.box
    depth = protocol.matrix[2]
    low = (grid.axis(0)[i.start], grid.axis(1)[j.start], grid.axis(2)[_EDGE_SLICES])
    high = (grid.axis(0)[i.stop - 1], grid.axis(1)[j.stop - 1], grid.axis(2)[depth - 1 - _EDGE_SLICES])
    sites = MicrobleedSites.of(head, low, high)
    found: list[PlacedLesion] = []
    for _ in range(_DRAWS * wanted):
        lesion = draw_microbleed(rng, sites, scene.radius)
        if any(_distance(lesion, other.lesion) < SEPARATION_MM for other in found):
            continue
        if any(_distance(lesion, m) < MIMIC_SEPARATION_MM + m.extent for m in mimics):
            continue
        placed = scene.appearance(lesion, [*mimics, *(p.lesion for p in found), lesion])
        if (
            placed is not None
            and placed.contrast >= scene.least_contrast
            and placed.snr >= scene.least_snr
            and _EDGE_SLICES <= placed.voxel[2] < depth - _EDGE_SLICES
        ):
            found.append(placed)
            if len(found) == wanted:
                return found
    raise UsageError(
        f"only {len(found)} of {wanted} microbleeds found room in a {protocol.name} volume, {SEPARATION_MM:g} mm apart "
        "and visible. Ask for fewer (--microbleeds)."
    )


def _distance(first: Lesion, second: Lesion) -> float:
    return float(np.linalg.norm(np.subtract(first.centre, second.centre)))


def _fine_grid(protocol: Protocol, grid: Grid, head: Head) -> tuple[Grid, tuple[slice, slice], int]:
    """Sub-voxels over the brain, with some planes more above and below for the veins' field.

    Returns
    -------
    fine : Grid
    box : two slices
        Acquisition voxels covered in the plane.
    margin : int
        Planes of `fine` below the first and above the last slice.
    """
    spacing = [v / n for v, n in zip(protocol.voxel_mm, protocol.fine, strict=True)]
    margin = round(_VEIN_MARGIN_MM / spacing[2])
    origin, shape, box = [], [], []
    for a in range(2):
        present = np.flatnonzero((head.brain > 0.9).any(tuple(b for b in range(3) if b != a)))
        axis = head.grid.axis(a)
        first, last = np.searchsorted(grid.axis(a), (axis[present[0]] - 4, axis[present[-1]] + 4))
        box.append(slice(int(first), int(last)))
        origin.append(grid.axis(a)[first] - protocol.voxel_mm[a] / 2 + spacing[a] / 2)
        shape.append(int(last - first) * protocol.fine[a])
    origin.append(grid.origin[2] - protocol.voxel_mm[2] / 2 + spacing[2] / 2 - margin * spacing[2])
    shape.append(grid.shape[2] * protocol.fine[2] + 2 * margin)
    fine = Grid((origin[0], origin[1], origin[2]), (spacing[0], spacing[1], spacing[2]), (shape[0], shape[1], shape[2]))
    return fine, (box[0], box[1]), margin


def _background_phase(
    rng: np.random.Generator, protocol: Protocol, head: Head, susceptibility: Array
) -> tuple[Array, list[float]]:
    """Phase of head and air after an imperfect second-order shim, with a smooth receiver phase [rad]."""
    grid = head.grid
    # Air is 0 outside; the head goes on below and above the box as it is at its lowest and highest plane.
    relative = susceptibility - np.float32(AIR_PPM)
    extra = int(40 / grid.spacing[2])
    longer = np.concatenate(
        [np.repeat(relative[:, :, :1], extra, 2), relative, np.repeat(relative[:, :, -1:], extra, 2)], 2
    )
    shift = dipole_field(longer, grid.spacing, padding_mm=(28, 34, 10))[:, :, extra:-extra]
    harmonics = _harmonics(grid)
    inside = np.flatnonzero(head.brain > 0.9)[:: max(1, int(97 / np.prod(grid.spacing)))]
    voxels = np.unravel_index(inside, grid.shape)
    design = np.stack([np.broadcast_to(h, grid.shape)[voxels] for h in harmonics], 1).astype(float)
    fitted = np.linalg.lstsq(design, shift[voxels].astype(float), rcond=None)[0]
    error = rng.normal(1, 0.04, len(fitted))
    shift = shift.copy()
    for coefficient, harmonic in zip(fitted * error, harmonics, strict=True):
        shift -= np.float32(coefficient) * harmonic
    shift *= np.float32(protocol.phase_per_ppm)
    for coefficient, harmonic in zip(rng.normal(0, (1.2, 1.2, 1.2, 1.2, 0.7, 0.7)), harmonics, strict=False):
        shift += np.float32(coefficient) * harmonic
    return shift, [round(float(e), 4) for e in error]


def _scaled_axes(grid: Grid) -> tuple[Array, Array, Array]:
    """Coordinates from the middle of the head in units of 80 mm, ready to broadcast."""
    x, y, z = grid.axes
    middle = (z[0] + z[-1]) / 2
    return (
        (x / 80).astype(np.float32)[:, None, None],
        ((y + 14) / 80).astype(np.float32)[None, :, None],
        ((z - middle) / 80).astype(np.float32)[None, None, :],
    )


def _harmonics(grid: Grid) -> list[Array]:
    """Spherical harmonics up to second order."""
    x, y, z = _scaled_axes(grid)
    one = np.ones((1, 1, 1), np.float32)
    return [one, x, y, z, x * x - y * y, 2 * z * z - x * x - y * y, x * y, x * z, y * z]


def _receive_bias(rng: np.random.Generator, grid: Grid, factor: float) -> Array:
    """Smooth non-uniformity of the receive coils: brighter near the surface, tilted."""
    x, y, z = _scaled_axes(grid)
    tilt = factor * rng.normal(0, 0.22, 2)
    dip = np.float32(0.3 * factor) * np.exp(-(x * x + y * y + z * z) / np.float32(0.25))
    bias: Array = np.exp(np.float32(tilt[0]) * x + np.float32(tilt[1]) * y - dip)
    return bias


def _dephasing(phase: Array, q: int) -> Array:
    """Signal left after the phase's spread across each sub-voxel of plane `q` (Gaussian form of the sinc)."""
    square = np.zeros(phase.shape[:2], np.float32)
    plane = phase[:, :, q]
    square[1:-1] += (plane[2:] - plane[:-2]) ** 2
    square[:, 1:-1] += (plane[:, 2:] - plane[:, :-2]) ** 2
    if 0 < q < phase.shape[2] - 1:
        square += (phase[:, :, q + 1] - phase[:, :, q - 1]) ** 2
    left: Array = np.exp(square * np.float32(-1 / 96))  # differences over two sub-voxels: (d / 2)^2 / 24
    return left


def _through_kspace(change: npt.NDArray[np.complex64], protocol: Protocol) -> npt.NDArray[np.complex64]:
    """A small change of the image as the acquisition shows it, without noise."""
    nx, nz = (max(32, change.shape[0] + 16), max(24, change.shape[2] + 12))
    support = kspace_support(nx, nz, protocol)[:, None, :]
    padded = np.zeros((nx, change.shape[1], nz), np.complex64)
    padded[: change.shape[0], :, : change.shape[2]] = change
    spectrum = scipy.fft.fftn(padded, axes=(0, 2))
    spectrum *= support
    blurred: npt.NDArray[np.complex64] = scipy.fft.ifftn(spectrum, axes=(0, 2))
    return blurred[: change.shape[0], :, : change.shape[2]]
