"""Both stages on one clean scan: its candidates, each with what the networks say of it."""

from __future__ import annotations

import numpy as np
import pandas as pd
from nibabel.affines import apply_affine
from numpy.typing import NDArray

from ..bundle.content import Content, Grid, Look, OnImages, OnScans
from ..evaluation.calibration import calibrated
from ..imaging.frame import make_frame
from ..methods.base import MOST
from ..schema import VOXEL, WORLD
from ..slices import slice_stem
from ..stage1.candidates import candidate_table, place_boxes
from ..stage1.composite import needs, network_images
from ..stage1.detections import detection_table
from ..stage2.patches import patches_of
from ..stage2.weighing import pooled
from .networks import Networks
from .volume import OnGrid, in_plane

__all__ = ["candidates_of"]

_NAME = "sub-x"
"""What a scan is called on the way; it does not leave this module."""


def candidates_of(scan: OnGrid, content: Content, grid: Grid, networks: Networks) -> tuple[pd.DataFrame, bool]:
    """Look at a scan.

    Parameters
    ----------
    scan : OnGrid
        On the voxels of `grid`.
    content : Content
        Of the model.
    grid : Grid
        One of the model's.
    networks : Networks

    Returns
    -------
    table : DataFrame
        The most likely first: ``i``, ``j``, ``k`` (fractional, on the scan's voxels), ``x_mm``, ``y_mm``, ``z_mm``,
        ``confidence``, ``network_probability``, ``score`` and ``probability`` (NaN where the model has no calibration).
    whole : bool
        Whether all of the brain was looked at.
    """
    look, whole = content.look, True
    if look.images is not None:
        table, whole = _on_slices(scan, look.images, look.confidence, grid, networks)
    else:
        assert look.scans is not None  # one of them is there, or it is no content
        table = _on_scan(scan, look.scans, look.confidence, networks)
    table["network_probability"] = _stage2(scan, table, look, networks)
    score = table["network_probability"].to_numpy(float)
    if look.by == "both":
        score = pooled(table["confidence"].to_numpy(float), score)
    if networks.probability is None:
        score = table["confidence"].to_numpy(float)
    table["score"] = score
    fitted = content.calibration
    table["probability"] = np.nan if fitted is None else calibrated(score, fitted.slope, fitted.intercept)
    table = table.assign(k=table["k_place"])[
        [*VOXEL, *WORLD, "confidence", "network_probability", "score", "probability"]
    ]
    return table.sort_values("score", ascending=False, kind="stable", ignore_index=True), whole


def _on_scan(scan: OnGrid, how: OnScans, least: float, networks: Networks) -> pd.DataFrame:
    """Candidates of a method that looks at all of a scan."""
    assert networks.finder is not None
    volumes = {name: scan.cleaned.volumes[name] for name in networks.finder.volumes}
    places, values = networks.finder.find(
        volumes, scan.cleaned.mask, scan.spacing, separation_mm=how.separation_mm, most=MOST
    )
    kept = values >= least
    table = pd.DataFrame(np.asarray(places[kept], float).reshape(-1, 3), columns=[*VOXEL])
    table[[*WORLD]] = apply_affine(scan.affine, table.to_numpy()).reshape(-1, 3)
    return table.assign(confidence=np.asarray(values[kept], float), k_place=table["k"])


def _on_slices(scan: OnGrid, how: OnImages, least: float, grid: Grid, networks: Networks) -> tuple[pd.DataFrame, bool]:
    """Candidates of a detector on slices, and whether all of the brain is in its images."""
    brain = scan.cleaned.mask
    volumes = {name: scan.cleaned.volumes[name] for name in needs(how.input)}
    planes, mask, first, whole = in_plane(volumes, brain, grid.matrix)
    table = _stage1(planes, mask, how, least, scan.affine @ _shifted(first), networks)
    table[["i", "j"]] += first[:2]
    table["k_place"] = apply_affine(np.linalg.inv(scan.affine), table[[*WORLD]].to_numpy(float).reshape(-1, 3))[:, 2]
    table[["i", "j"]] = np.clip(table[["i", "j"]], 0, np.array(brain.shape[:2]) - 1)  # the image may be padded
    return table, whole


def _stage1(
    planes: dict[str, NDArray[np.float32]],
    mask: NDArray[np.bool_],
    look: OnImages,
    least: float,
    affine: NDArray[np.float64],
    networks: Networks,
) -> pd.DataFrame:
    """Candidates on the cut planes."""
    assert networks.boxes is not None
    frame = make_frame((mask.shape[0], mask.shape[1]), look.size, look.mode)
    images = network_images(look.input, frame, planes, mask, scale=look.scale, background=look.background)
    names = [slice_stem(_NAME, k) for k in range(len(images))]
    found = networks.boxes(images, names, least)
    boxes = detection_table(found, {_NAME: "test"})
    return candidate_table(place_boxes(boxes, {_NAME: frame}, {_NAME: affine}, by_lesion=True))


def _stage2(scan: OnGrid, table: pd.DataFrame, look: Look, networks: Networks) -> NDArray[np.float64]:
    if networks.probability is None or table.empty:
        return np.full(len(table), np.nan)
    volumes, mask = scan.cleaned.volumes, scan.cleaned.mask
    centres = table[[*VOXEL]].to_numpy(float)
    patches = patches_of(
        volumes["swi"], volumes["phase"], mask, scan.spacing, centres,
        scale=look.patch_scale, size=networks.patch, shrink_from=look.shrink_from,
    )  # fmt: skip
    return networks.probability(patches)


def _shifted(first: NDArray[np.intp]) -> NDArray[np.float64]:
    matrix = np.eye(4)
    matrix[:3, 3] = first
    return matrix
