"""Brain mask by a deformable surface: Smith, Human Brain Mapping 17:143 (2002), the Brain Extraction Tool.

A sphere is put inside the head and grows until the grey values below it say that the brain ends, while a second force
keeps it smooth. Three things are added to the published method:

* **slabs**: where the field of view ends inside the head, the end slice is continued beyond it as shrinking copies
  (half an ellipsoid), so that the surface can leave through the slab's ends as it would close over a whole head;
* **coarse to fine**: 162, then 642, then the published 2562 vertices. A coarse surface cannot fold on its way out, so
  the costly runs with stronger smoothing are rarely needed, and the whole takes a tenth of the time;
* **twice** for whole heads: on the volume as it is, and divided by its own mean over 3 cm of head, as receive coils
  make it bright near them. Only what both runs hold is brain: at the skull base the surface sometimes leaks into neck
  and face, but seldom in both.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ..errors import DataError
from .brain import WHOLE_HEAD_MM
from .mesh import Mesh, filled, folded_share, icosphere, subdivide

__all__ = ["MIN_FIELD_OF_VIEW_MM", "Extraction", "bet"]

Float = NDArray[np.float32]
Mask = NDArray[np.bool_]

MIN_FIELD_OF_VIEW_MM = 100.0
"""In-plane field of view below which no head fits and brain extraction is refused."""

_GRID_MM = 2.0  # the surface sees block means of about this size; it samples at 1 mm and more
_EVEN_MM = 30.0
_DEPTH_MIN_MM, _DEPTH_MAX_MM = 20.0, 10.0
_R_MIN_MM, _R_MAX_MM = 3.33, 10.0
_CURVATURE = (1 / _R_MIN_MM + 1 / _R_MAX_MM) / 2
_STEEPNESS = 6 / (1 / _R_MIN_MM - 1 / _R_MAX_MM)
# subdivisions of the icosahedron and iterations; more of either changes the mask by less than 0.3 % Dice
_LEVELS = ((2, 250), (3, 150), (4, 60))
_MAX_PASSES = 4
_MAX_FOLDED = 0.005  # share of the vertices
_CAP_MM = 60.0  # height of a head's end beyond the field of view
_CAP_AREA = 0.25  # an end slice cuts the head where it holds this share of the largest slice's area


@dataclass(frozen=True)
class Extraction:
    """A brain mask and how it came about.

    Attributes
    ----------
    mask : (i, j, k) bool array
    capped : (bool, bool)
        Whether the head goes on beyond the first and the last slice.
    passes : int
        Runs of the surface; more than one where it crossed itself and had to be made smoother.
    folded : float
        Share of vertices where the final surface still touches itself.
    """

    mask: Mask
    capped: tuple[bool, bool]
    passes: int
    folded: float

    @property
    def uncertain(self) -> bool:
        """Whether the surface still crosses itself after the last run."""
        return self.folded > _MAX_FOLDED


def bet(magnitude: Float, zooms: Sequence[float], *, fraction: float = 0.5, gradient: float = 0.0) -> Extraction:
    """Find the brain in a magnitude volume of a whole head or of a slab through it.

    Parameters
    ----------
    magnitude : (i, j, k) array
        Any positive scale; canonical axes.
    zooms : three floats
        Voxel size [mm].
    fraction : float, default=0.5
        Fractional intensity threshold, 0..1: smaller gives a larger brain.
    gradient : float, default=0
        Added to `fraction` from the lower (-) to the upper (+) end of the head: positive gives a larger brain at the
        bottom and a smaller one at the top.

    Returns
    -------
    Extraction

    Raises
    ------
    DataError
        If the field of view cannot hold a head, or the volume is empty.

    References
    ----------
    Smith SM. Fast robust automated brain extraction. Human Brain Mapping 17:143-155 (2002).
    """
    shape, size = magnitude.shape, np.asarray(zooms, float)
    extent = np.array(shape[:2]) * size[:2]
    if extent.min() < MIN_FIELD_OF_VIEW_MM:
        raise DataError(
            f"a field of view of {extent[0]:.0f} x {extent[1]:.0f} mm is too small for a head (at least "
            f"{MIN_FIELD_OF_VIEW_MM:.0f} mm), so the brain cannot be found in it. Give a brain mask, or say that the "
            "volume holds nothing but brain (--brain-mask none)."
        )
    factor = np.maximum(1, np.round(_GRID_MM / size)).astype(int)
    voxel = size * factor
    coarse = _block_mean(magnitude, factor)
    runs = [_surface(coarse, voxel, fraction, gradient)]
    if shape[2] * size[2] >= WHOLE_HEAD_MM:
        runs.append(_surface(_evened(coarse, voxel), voxel, fraction, gradient))
    common = np.logical_and.reduce([run.mask for run in runs])
    if not common.any():
        raise DataError(
            "no brain was found in the magnitude. Give a brain mask, or another --bet-fraction "
            "(smaller gives a larger brain)."
        )
    bodies, _ = ndimage.label(common)
    common = bodies == np.bincount(bodies[common]).argmax()
    return Extraction(
        _without_holes(_upsample(common, voxel, factor, shape)),
        runs[0].capped,
        max(run.passes for run in runs),
        max(run.folded for run in runs),
    )


def _surface(coarse: Float, voxel: NDArray[np.float64], fraction: float, gradient: float) -> Extraction:
    """One run of the surface, and again with stronger smoothing where it crosses itself; a mask on the coarse grid."""
    levels = _Levels.measure(coarse, voxel)
    head, below, above = _with_caps(coarse, voxel, levels)
    centre = levels.centre + np.array([0, 0, below])
    balloon = _Balloon(head, voxel, levels, centre, fraction, gradient)
    smoothing, passes = 1.0, 0
    while True:
        passes += 1
        start, points, faces = balloon.grow(smoothing)
        folded = folded_share(start, points, faces)
        if folded <= _MAX_FOLDED or passes == _MAX_PASSES:
            break
        smoothing *= 10.0
    inside = filled(points / voxel + centre, faces, head.shape)
    return Extraction(inside[:, :, below : below + coarse.shape[2]], (below > 0, above > 0), passes, folded)


@dataclass(frozen=True)
class _Levels:
    """Robust grey levels and rough geometry of the head (Smith 2002, section "Estimation of basic parameters")."""

    low: float  # t2
    threshold: float  # t: between background and head
    median: float  # tm: of the tissue inside the rough sphere
    centre: NDArray[np.float64]  # [voxel]
    radius: float  # [mm]

    @classmethod
    def measure(cls, volume: Float, voxel: NDArray[np.float64]) -> _Levels:
        positive = volume[volume > 0]
        if positive.size == 0:
            raise DataError("the magnitude holds no positive value, so there is no head in it.")
        low, high = (float(x) for x in np.percentile(positive, [2, 98]))
        threshold = low + 0.1 * (high - low)
        head = volume > threshold
        weight = np.where(head, np.minimum(volume, high), 0).astype(np.float64)
        total = weight.sum()
        if total == 0:
            raise DataError("the magnitude has no contrast between head and background.")
        centre = np.array(
            [
                (weight.sum(tuple(b for b in range(3) if b != a)) * np.arange(volume.shape[a])).sum() / total
                for a in range(3)
            ]
        )
        radius = float((3 * head.sum() * voxel.prod() / (4 * np.pi)) ** (1 / 3))
        grid = np.ogrid[tuple(slice(0, n) for n in volume.shape)]
        distance2 = sum(((g - c) * v) ** 2 for g, c, v in zip(grid, centre, voxel, strict=True))
        inside = volume[distance2 < radius**2]
        inside = inside[(inside > low) & (inside < high)]
        median = float(np.median(inside)) if inside.size else threshold
        return cls(low, threshold, median, centre, radius)


def _block_mean(volume: Float, factor: NDArray[np.intp]) -> Float:
    padded = np.pad(volume, [(0, -n % f) for n, f in zip(volume.shape, factor, strict=True)], mode="edge")
    i, j, k = (n // f for n, f in zip(padded.shape, factor, strict=True))
    blocks = padded.reshape(i, factor[0], j, factor[1], k, factor[2])
    return np.ascontiguousarray(blocks.mean((1, 3, 5), dtype=np.float32))


def _evened(volume: Float, voxel: NDArray[np.float64]) -> Float:
    """Divide by the mean of the head's voxels around, so that coils leave no slope; background stays dark."""
    positive = volume[volume > 0]
    if positive.size == 0:
        return volume
    low, high = np.percentile(positive, [2, 98])
    head = (volume > low + 0.1 * (high - low)).astype(np.float32)
    if not head.any():
        return volume
    sigma = _EVEN_MM / voxel
    signal = ndimage.gaussian_filter(np.minimum(volume, np.float32(high)) * head, sigma)
    mean = signal / np.maximum(ndimage.gaussian_filter(head, sigma), np.float32(1e-3))
    usual = np.median(mean[head > 0])
    return np.asarray(volume * usual / np.maximum(mean, np.float32(0.2) * usual), np.float32)


def _with_caps(volume: Float, voxel: NDArray[np.float64], levels: _Levels) -> tuple[Float, int, int]:
    """Continue the head beyond the ends of the field of view that cut through it.

    Beyond such an end the end slice is repeated, scaled about the middle of its head by ``sqrt(1 - (d/cap)^2)`` at
    distance d: an ellipsoid's cap. Returns the volume and the number of slices added below and above.
    """
    area = (volume > levels.threshold).sum((0, 1))
    cut = [bool(area[end] > _CAP_AREA * area.max()) for end in (0, -1)]
    if not any(cut):
        return volume, 0, 0
    n = int(np.ceil(_CAP_MM / voxel[2]))
    shrink = np.sqrt(1 - ((np.arange(1, n + 1) - 0.5) / n) ** 2)
    rows, columns = volume.shape[:2]
    ends = []
    for wanted, end in zip(cut, (0, -1), strict=True):
        plane = np.ascontiguousarray(volume[:, :, end])
        head = plane > levels.threshold
        if not wanted:
            ends.append(np.zeros((rows, columns, 0), np.float32))
            continue
        ci, cj = (float(np.average(np.arange(m), weights=head.sum(1 - a))) for a, m in enumerate(plane.shape))
        cap = [
            cv2.warpAffine(
                plane,
                np.array([[1 / s, 0, cj - cj / s], [0, 1 / s, ci - ci / s]]),
                (columns, rows),
                flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
            )
            for s in shrink
        ]
        ends.append(np.stack(cap, 2))
    below, above = ends[0].shape[2], ends[1].shape[2]
    return np.ascontiguousarray(np.concatenate([ends[0][:, :, ::-1], volume, ends[1]], 2)), below, above


@dataclass(frozen=True)
class _Balloon:
    """The growing surface in its head; vertices are in mm from the centre."""

    volume: Float
    voxel: NDArray[np.float64]
    levels: _Levels
    centre: NDArray[np.float64]  # [voxel]
    fraction: float
    gradient: float

    def grow(self, smoothing: float) -> tuple[Float, Float, NDArray[np.intp]]:
        """Run the surface; return the start sphere, the final vertices and the triangles."""
        sphere, faces = icosphere(_LEVELS[0][0])
        start = sphere.astype(np.float32)
        points = start * np.float32(self.levels.radius / 2)
        for level, (_, iterations) in enumerate(_LEVELS):
            if level:
                halfway, _ = subdivide(start, faces)
                start = np.concatenate([start, halfway / np.linalg.norm(halfway, axis=1)[:, None]])
                middle, faces = subdivide(points, faces)
                points = np.concatenate([points, middle])
            points = self._evolve(points, Mesh.of(faces, len(points)), smoothing, iterations)
        return start, points, faces

    def _evolve(self, points: Float, mesh: Mesh, smoothing: float, iterations: int) -> Float:
        """Smith's iteration; the names follow the paper: s, its normal part, f2, f3, Imin, Imax, tl."""
        # a border of zeros, and indices clipped into it: outside the field of view there is no signal
        flat = np.pad(self.volume, 1).reshape(-1)
        shape = np.array(self.volume.shape)
        stride = np.array([(shape[1] + 2) * (shape[2] + 2), shape[2] + 2, 1], np.int32)
        limit = (shape + 1).astype(np.float32)
        inverse, offset = (1 / self.voxel).astype(np.float32), (self.centre + 1.5).astype(np.float32)
        depths = np.arange(0, _DEPTH_MIN_MM + 0.5, dtype=np.float32)[:, None]
        near = int(_DEPTH_MAX_MM) + 1
        low, tissue, threshold = (np.float32(x) for x in (self.levels.low, self.levels.median, self.levels.threshold))
        for iteration in range(iterations):
            if iteration % 25 == 0 or iteration < 5:
                edge = np.float32(mesh.mean_edge(points))
            normal = mesh.normals(points)
            s = (points[mesh.neighbours] * mesh.weights).sum(0) - points
            outward = (s * normal).sum(1)
            normal_part = outward[:, None] * normal
            curvature = 2 * np.abs(outward) / edge**2
            f2 = (1 + np.tanh(np.float32(_STEEPNESS) * (curvature - np.float32(_CURVATURE)))) / 2
            if smoothing > 1:  # concave places (the mean of the neighbours lies outside) are pulled out harder
                f2 = np.where(outward > 0, np.minimum(f2 * np.float32(smoothing), 1), f2)
            position, inward = points * inverse + offset, normal * inverse
            index = np.zeros((len(depths), len(points)), np.int32)
            for axis in range(3):
                along = position[:, axis] - depths * inward[:, axis]
                np.clip(along, 0, limit[axis], out=along)
                index += along.astype(np.int32) * stride[axis]
            below = flat[index]
            i_min = np.maximum(low, np.minimum(tissue, below.min(0)))
            i_max = np.minimum(tissue, np.maximum(threshold, below[:near].max(0)))
            height = points[:, 2] / np.float32(self.levels.radius)
            t_l = (i_max - low) * np.clip(self.fraction + self.gradient * height, 0, 1).astype(np.float32) + low
            f3 = 2 * (i_min - t_l) / np.maximum(i_max - low, np.float32(1e-6) * tissue)
            points = points + np.float32(0.5) * (s - normal_part) + f2[:, None] * normal_part
            points += (np.float32(0.05) * edge * f3)[:, None] * normal
        return points


def _without_holes(mask: Mask) -> Mask:
    """Holes are looked for where the mask is: beyond its box there are none."""
    for box in ndimage.find_objects(mask.astype(np.uint8)):
        mask[box] = ndimage.binary_fill_holes(mask[box])
    return mask


def _upsample(mask: Mask, voxel: NDArray[np.float64], factor: NDArray[np.intp], shape: Sequence[int]) -> Mask:
    """Carry a coarse mask to the full grid by linear interpolation of its signed distance."""
    # the mask goes on beyond the ends of a slab: without the repeated slices, distances there would turn to the end
    wide = np.pad(mask, ((1, 1), (1, 1), (1, 1)), mode="edge")
    distance = (
        ndimage.distance_transform_edt(wide, sampling=tuple(voxel))
        - ndimage.distance_transform_edt(~wide, sampling=tuple(voxel))
    ).astype(np.float32)[1:-1, 1:-1, 1:-1]
    k = np.clip((np.arange(shape[2]) + 0.5) / factor[2] - 0.5, 0, mask.shape[2] - 1)
    lower = np.floor(k).astype(int)
    upper, weight = np.minimum(lower + 1, mask.shape[2] - 1), (k - lower).astype(np.float32)
    size = (int(mask.shape[1] * factor[1]), int(mask.shape[0] * factor[0]))
    full = np.zeros(shape, bool)
    for slice_, (down, up, w) in enumerate(zip(lower, upper, weight, strict=True)):
        plane = np.ascontiguousarray(distance[:, :, down] * (1 - w) + distance[:, :, up] * w)
        full[:, :, slice_] = cv2.resize(plane, size, interpolation=cv2.INTER_LINEAR)[: shape[0], : shape[1]] > 0
    return full
