"""Everything of a scan but its lesions, and the noise-free image of it with lesions.

The complex signal of every acquisition voxel is the mean over sub-voxels of ``S exp(i phi)``. The phase is the sum of
three parts that are computed apart because the field is linear in the sources: head and air on the coarse grid of the
anatomy, veins on a fine grid over the brain, lesions from exact formulas on a very fine grid round each of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.fft

from .acquisition import Difficulty, Protocol, Scanner, kspace_support
from .anatomy import Head
from .arteries import grow_arteries
from .background import background_phase, receive_bias
from .constants import IRON_RICH, TISSUES, Tissue, venous_susceptibility
from .grid import Grid, PeriodicNoise
from .lesions import Lesion
from .signal import Array, dipole_field
from .veins import grow_veins
from .vessels import Vessel, vessel_fraction

__all__ = ["PlacedLesion", "Scene"]

Window = tuple[slice, slice, slice]

_PATCH_LIMIT_MM = 16.0
_FIELD_PADDING_MM = 16.0
_VEIN_MARGIN_MM = 6.0
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
    b0_direction: tuple[float, float, float]
    """In the axes of the arrays."""
    arteries: Array
    """Volume fraction, on `fine`."""
    arterial: float
    """Signal of arterial blood."""
    course_of_arteries: list[Vessel]
    drawn: dict[str, Any]

    @classmethod
    def make(  # noqa: PLR0913 (all that a scene is made of, by name)
        cls,
        *,
        protocol: Protocol,
        scanner: Scanner,
        difficulty: Difficulty,
        grid: Grid,
        head: Head,
        rng: np.random.Generator,
        vein_rng: np.random.Generator,
        artery_rng: np.random.Generator,
        b0_direction: tuple[float, float, float] = (0.0, 0.0, 1.0),
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
        signal *= receive_bias(rng, head.grid, scanner.bias_factor)
        phase, shim = background_phase(rng, protocol, head, susceptibility, b0_direction)
        white_matter = protocol.signal(TISSUES["white matter"])
        snr = protocol.snr * scanner.snr_factor * difficulty.snr_factor

        fine, box, margin = _fine_grid(protocol, grid, head)
        veins = vessel_fraction(grow_veins(vein_rng, head, difficulty.vein_density), fine)
        vein_field = dipole_field(veins, fine.spacing, b0_direction=b0_direction, padding_mm=(_FIELD_PADDING_MM,) * 3)
        inner = slice(margin, fine.shape[2] - margin)
        vein_field = np.ascontiguousarray(vein_field[:, :, inner])
        vein_field *= np.float32(venous_susceptibility(oxygenation) * protocol.phase_per_ppm)
        origin = fine.position((0, 0, margin))
        fine = Grid((origin[0], origin[1], origin[2]), fine.spacing, vein_field.shape)
        arteries = grow_arteries(artery_rng, head)
        inflow = float(artery_rng.uniform(1.2, 2.2))
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
            b0_direction=b0_direction,
            arteries=vessel_fraction(arteries, fine),
            arterial=inflow * white_matter,
            course_of_arteries=arteries,
            drawn={
                "iron": iron,
                "venous_oxygenation": oxygenation,
                "inflow": inflow,
                "snr": snr,
                "shim_error": shim,
            },
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
                phase[near] += np.float32(self.protocol.phase_per_ppm) * lesion.field(axes, self.b0_direction)
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
                signal += self.arteries[:, :, q] * (np.float32(self.arterial) - signal)
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
        signal += self.fine.resample(self.arteries, axes) * (np.float32(self.arterial) - signal)
        low, high = (np.array([axis[end] for axis in axes]) for end in (0, -1))
        for other in lesions:
            if other is lesion:
                continue
            gap = float(np.linalg.norm(np.maximum(np.maximum(low - other.centre, np.subtract(other.centre, high)), 0)))
            if gap > other.far_reach:
                continue
            if gap > other.extent + _SMOOTH_FIELD_MM:
                phase += per_ppm * _interpolated_field(other, axes, self.b0_direction)
                continue
            phase += per_ppm * other.field(axes, self.b0_direction)
            self._fill(signal, other, axes)
        shape = [n for f, s in zip(factors, window, strict=True) for n in (s.stop - s.start, f)]

        def voxels() -> npt.NDArray[np.complex64]:
            image = np.empty([s.stop - s.start for s in window], np.complex64)
            image.real = (signal * np.cos(phase)).reshape(shape).mean((1, 3, 5))
            image.imag = (signal * np.sin(phase)).reshape(shape).mean((1, 3, 5))
            return image

        absent = voxels()
        phase += per_ppm * lesion.field(axes, self.b0_direction)
        self._fill(signal, lesion, axes)
        return voxels(), absent

    def _fill(self, signal: Array, lesion: Lesion, axes: Sequence[Array]) -> None:
        """Give the inside of a lesion its own signal, in place."""
        inside = self.protocol.signal(Tissue(lesion.t1_ms, lesion.t2star_ms, lesion.proton_density, 0.0))
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


def _interpolated_field(lesion: Lesion, axes: Sequence[Array], b0_direction: Sequence[float], step: int = 4) -> Array:
    """Field of a lesion that is some way off, from every fourth point along each axis."""
    spacing = [float(a[1] - a[0]) * step for a in axes]
    shape = [(len(a) - 1) // step + 2 for a in axes]
    sparse = Grid(
        (float(axes[0][0]), float(axes[1][0]), float(axes[2][0])),
        (spacing[0], spacing[1], spacing[2]),
        (shape[0], shape[1], shape[2]),
    )
    return sparse.resample(lesion.field(sparse.axes, b0_direction), axes)


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
