"""What reviewed scans teach: patches of their candidates and microbleeds, labelled by what readers agree on."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from nibabel.affines import apply_affine

from ..bundle.content import Look
from ..bundle.files import MODEL, Bundle, opened, verify
from ..detect.recipe import Detecting
from ..errors import MissingError
from ..io.publish import Record, publish, sha256
from ..io.tables import read_tsv, write_tsv
from ..keras_settings import keras_engine
from ..model import OnProgress
from ..parallel import for_each
from ..review.agreeing import microbleeds
from ..review.layout import Review
from ..review.lessons import lessons
from ..schema import AGREED, PATCHES, REVIEWED, VOXEL, WORLD
from ..study.patches import ARRAY, TABLE
from ..study.scan import Scan

if TYPE_CHECKING:
    from ..detect.scan import Looked

__all__ = ["review_crop", "to_learn_from"]

REVISION = 1

_NAMED = 12
"""Digits of a scan's digest by which it is called in a study: nobody's name."""


def to_learn_from(review: Review) -> list[str]:
    """The scans that have a verdict on any finding.

    Raises
    ------
    MissingError
        If there is none.
    """
    if not review.scans.is_file():
        raise MissingError(f"{review.folder}: nothing was read yet. Run `cmbtk review read` first.")
    table = read_tsv(review.scans, (*REVIEWED.needed, "readers"))
    names = table.loc[table["readers"] > 0, "participant_id"].tolist()
    if not names:
        raise MissingError(f"{review.scans}: no scan was read by anybody. Run `cmbtk review read` first.")
    return names


def review_crop(
    model: Path,
    scans: Sequence[Scan],
    review: Review,
    *,
    jobs: int = 1,
    on_progress: OnProgress = lambda done, total, what: None,
) -> list[Path]:
    """Cut the patches of reviewed scans, each cleaned and looked at as `cmbtk detect` does.

    Parameters
    ----------
    model : Path
        Whose candidates they are.
    scans : sequence of Scan
        By the names that they have in the review.
    review : Review
    jobs : int
    on_progress : callable

    Returns
    -------
    list of Path
        Of each scan the folder with ``patches.npy`` and ``patches.tsv``: as those of a cell, and ``mimic``. Scans are
        called by their digest there, and have the role train and the origin reviewed.

    Raises
    ------
    MissingError, DataError, StorageError
    """
    agreed = read_tsv(review.findings, AGREED.needed, may_lack=("verdict",))
    whole = read_tsv(review.scans, REVIEWED.needed).set_index("participant_id")["reviewed"] == "yes"
    tasks = [(scan, agreed[agreed["participant_id"] == scan.name], bool(whole[scan.name])) for scan in scans]
    with opened(model) as bundle:
        verify(bundle, model)
        work = partial(_one, model=bundle.folder, review=review)
        return for_each(work, tasks, jobs=jobs, on_progress=on_progress, label=lambda task: task[0].name)


@lru_cache(maxsize=1)
def _networks(folder: Path) -> tuple[Bundle, Any]:
    from ..detect.networks import load

    with opened(folder) as bundle:
        return bundle, load(bundle)


def _one(task: tuple[Scan, pd.DataFrame, bool], *, model: Path, review: Review) -> Path:
    scan, agreed, whole = task
    target = review.lessons(scan.name)
    said = agreed[["id", "verdict", "mimic", *WORLD]].astype(object).where(lambda rows: rows.notna(), None)
    own = {name: getattr(scan, name) for name in ("phase_sign", "phase_range", "echo_time_ms", "echo", "phase_volume")}
    asked = {"subject": scan.name, "agreed": said.to_numpy().tolist(), "reviewed": whole, "scan": own}
    record = Record("review-crop", asked, {"model": model / MODEL, **scan.files}, keras_engine(), REVISION)
    if record.is_current(target):
        return target
    from ..detect.scan import look_at

    bundle, networks = _networks(model)
    looked = look_at(scan, bundle.content, networks, Detecting(force=True))
    phase = scan.phase or scan.real
    assert phase is not None  # a scan has one of them
    digest = sha256(phase)
    table = _table(looked, agreed, whole, f"sub-reviewed{digest[:_NAMED]}")
    with publish(target, record) as folder:
        folder.mkdir()
        np.save(folder / ARRAY, _cut(looked, table, bundle.content.look, networks.patch))
        write_tsv(table[[*PATCHES.names, "mimic"]], folder / TABLE)
        makers = {facts.get("Manufacturer") for facts in looked.acquisition.values()}
        folder.note(digest=digest, simulated="simulated" in makers)
    return target


def _table(looked: Looked, agreed: pd.DataFrame, whole: bool, called: str) -> pd.DataFrame:
    """Candidates with their labels, and the agreed microbleeds."""
    rows = looked.candidates[[*VOXEL]].join(lessons(agreed, looked.world, looked.on.spacing[2], reviewed=whole))
    rows["candidate_id"] = [f"{called}_cand-{n:04d}" for n in range(1, len(rows) + 1)]
    yes = microbleeds(agreed)
    voxels = apply_affine(np.linalg.inv(looked.on.affine), yes[[*WORLD]].to_numpy(float).reshape(-1, 3))
    inside = ((voxels > -0.5) & (voxels < np.array(looked.on.cleaned.mask.shape) - 0.5)).all(axis=1)
    marks = pd.DataFrame(voxels[inside], columns=[*VOXEL]).assign(label=1, mimic=None)
    marks["candidate_id"] = [f"{called}_cmb-{n:04d}" for n in range(1, len(marks) + 1)]
    table = pd.concat([rows, marks], ignore_index=True).assign(participant_id=called, role="train", origin="reviewed")
    table["k"] = np.rint(table["k"]).astype(int)
    return table.astype({"label": "Int64"})


def _cut(looked: Looked, table: pd.DataFrame, look: Look, size: int) -> np.ndarray[Any, np.dtype[np.float32]]:
    from ..stage2.patches import patches_of

    on, centres = looked.on, table[[*VOXEL]].to_numpy(float)
    volumes, mask = on.cleaned.volumes, on.cleaned.mask
    return patches_of(
        volumes["swi"], volumes["phase"], mask, on.spacing, centres,
        scale=look.patch_scale, size=size, shrink_from=look.shrink_from,
    )  # fmt: skip
