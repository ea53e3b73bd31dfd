"""One scan from its files to its lesions, in memory."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from nibabel.affines import apply_affine
from nibabel.orientations import io_orientation
from numpy.typing import NDArray

from ..bundle.content import Content
from ..bundle.fit import Fit, fit
from ..errors import DataError
from ..imaging.clean import UnusableError
from ..imaging.extent import NEAR_MM, Extent
from ..imaging.recipe import Preprocessing
from ..io.bids import echo_time_ms
from ..io.fsl import other_program
from ..io.nifti import Volume, read_mask
from ..io.publish import sha256
from ..regions.brain import Brain, coarse
from ..schema import VOXEL, WORLD
from ..study.nameless import without_names
from ..study.scan import Images, Scan, acquisition, own_recipe, read_images
from ..study.scan_limits import method_doubts
from .lesions import described, extents
from .located import Located, located
from .look import candidates_of
from .networks import Networks
from .recipe import Detecting
from .since import Earlier, Since, since
from .volume import OnGrid, on_grid

__all__ = ["Looked", "look_at"]


@dataclass(frozen=True)
class Looked:
    """What was found of a scan.

    Attributes
    ----------
    own : Volume
        What shows its anatomy, on its own grid.
    on : OnGrid
        The clean volumes that were looked at.
    candidates : DataFrame
        As the networks give them, from :func:`cmb_toolkit.detect.look.candidates_of`.
    table : DataFrame
        All of them, :data:`cmb_toolkit.schema.LESIONS`; where regions were asked for with
        :data:`cmb_toolkit.schema.PLACED`.
    regions : list of Extent
        The dark region of each.
    slice_axis : int
        Which axis of the scan's file counts its slices.
    learned_from : bool
        Whether the model has learned from this very scan.
    fit : Fit
        With all that makes it amber or red.
    warnings : tuple of str
        Without names of files.
    acquisition : mapping
        How it was acquired, as far as its sidecars say.
    brain : Brain
        By which the scan can be laid on another.
    located : Located or None
        In which regions they lie, where that was asked for.
    since : Since or None
        What has changed since an earlier scan, likewise; the table then has :data:`cmb_toolkit.schema.CHANGED`.
    """

    own: Volume
    on: OnGrid
    candidates: pd.DataFrame
    table: pd.DataFrame
    regions: list[Extent]
    slice_axis: int
    learned_from: bool
    fit: Fit
    warnings: tuple[str, ...]
    acquisition: Mapping[str, Any]
    brain: Brain
    located: Located | None
    since: Since | None = None

    def held_against(self, earlier: Earlier | None, looked_with: str, *, force: bool = False) -> Looked:
        """With what has changed since an earlier scan, see :func:`cmb_toolkit.detect.since.since`."""
        found = since(self.table, self.brain, looked_with, earlier, force=force)
        return replace(self, table=self.table.join(found.table), since=found)

    @property
    def world(self) -> NDArray[np.float64]:
        """Places of the candidates [mm]."""
        return self.table[[*WORLD]].to_numpy(float)


def look_at(scan: Scan, content: Content, networks: Networks, recipe: Detecting) -> Looked:
    """Clean a scan on a model's voxels and look at it with both stages.

    Raises
    ------
    MissingError, DataError, UsageError
        Among others a DataError if the scan is too far from what the model learned from, and `force` is not set.
    """
    cleaning = own_recipe(scan, recipe.cleaning(dict(content.look.preprocessing)))
    images = read_images(scan, cleaning)
    own = images.structure
    acquired, doubts = acquisition(scan, cleaning)
    time = next((t for facts in acquired.values() if (t := echo_time_ms(facts, cleaning.echo))), scan.echo_time_ms)
    fitted = fit(content, own.zooms, own.shape, time)
    if fitted.light == "red" and not recipe.force:
        raise DataError(
            f"{own.path}: {'; '.join(fitted.reasons)}. The model was not made for such a scan; --force looks at it all "
            "the same."
        )
    on = _cleaned(scan, images, fitted, cleaning)
    candidates, whole = candidates_of(on, content, fitted.grid, networks)
    regions = extents(on, candidates)
    table = _moved(on, candidates, regions)
    axis = int(np.flatnonzero(io_orientation(own.file_affine)[:, 0] == 2)[0])
    lesions = described(on, table, regions, content.points[recipe.operating].threshold, own.file_affine, axis)
    notes = [f"{image}: {text}" if image else text for image, text in on.cleaned.notes]
    warnings = [*images.warnings, *method_doubts(scan, own.zooms, cleaning.echo), *notes, *doubts]
    known = _digest(scan) in content.learned.digests
    if known:
        fitted = fitted.doubted("the model has learned from this very scan: what it finds there says nothing of it")
    if not whole:
        fitted = fitted.doubted("the brain is larger than the model's image, and its border was not looked at")
    assert on.head is not None  # every scan has a magnitude or an SWI
    brain = coarse(on.head, on.cleaned.mask, on.affine)
    where = located(brain, lesions[[*WORLD]].to_numpy(float)) if recipe.regions else None
    if where:
        lesions = lesions.join(where.table)
    nameless = tuple(dict.fromkeys(without_names(text, scan.files) for text in warnings))
    return Looked(own, on, candidates, lesions, regions, axis, known, fitted, nameless, acquired, brain, where)


def _digest(scan: Scan) -> str:
    """By which a model knows a scan again."""
    path = scan.phase or scan.real
    assert path is not None  # a scan has one of them
    return sha256(path)


def _cleaned(scan: Scan, images: Images, fitted: Fit, cleaning: Preprocessing) -> OnGrid:
    own = images.structure
    mask = read_mask(scan.mask, own) if scan.mask else None
    try:
        return on_grid(
            images.acquired,
            own.affine,
            fitted.voxel_mm,
            cleaning,
            mask,
            sign_is_known=scan.phase_sign is not None,
            extract=None if scan.mask else other_program(cleaning.brain_mask, own, cleaning.bet_gradient),
        )
    except UnusableError as error:
        raise DataError(f"{images.called[error.image]}: {error}") from error


def _moved(on: OnGrid, table: pd.DataFrame, regions: list[Extent]) -> pd.DataFrame:
    """Candidates in the middle of their dark regions, where there are such: boxes are as coarse as slices."""
    places = table[[*VOXEL]].to_numpy(float).reshape(-1, 3)
    for n, region in enumerate(regions):
        away = float(np.linalg.norm((region.centre - places[n]) * on.spacing))
        if len(region.voxels) and not region.long and away <= NEAR_MM + on.spacing[2] / 2:
            places[n] = region.centre
    table = table.copy()
    table[[*VOXEL]], table[[*WORLD]] = places, apply_affine(on.affine, places)
    return table
