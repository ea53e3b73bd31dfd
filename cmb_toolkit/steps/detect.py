"""``cmbtk detect``: a model looks at scans that it has never seen."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from ..bundle.files import MODEL, Bundle, opened, verify
from ..detect.networks import engine
from ..detect.recipe import Detecting
from ..detect.since import FILES as EARLIER
from ..detect.since import check_earlier, read_earlier
from ..errors import Problems, UsageError
from ..io.files import load_json
from ..io.nifti import write_labels, write_on_own_grid, write_volume
from ..io.publish import Output, Record, publish, read_record, sha256
from ..io.tables import read_tsv, write_tsv
from ..model import OnProgress
from ..parallel import for_each
from ..regions.atlas import GROUPS
from ..regions.registration import check_installed
from ..schema import CHANGED, FOUND, LESIONS, LOOKED_AT, PLACED
from ..study.nameless import without_names
from ..study.scan import Scan, check_files

if TYPE_CHECKING:
    from ..report.scan.cohort import CohortRow

__all__ = ["DetectSummary", "detect", "detect_scan"]

REVISION = 6

REPORT, SUMMARY, TABLE, ALL, LABELS, MAP, BRAIN, GONE_FROM = (
    "report.html",
    "summary.json",
    "lesions.tsv",
    "candidates.tsv",
    "microbleeds.nii.gz",
    "probability.nii.gz",
    "brain.nii.gz",
    "gone.tsv",
)
"""What is written of each scan; the last where there is an earlier one."""

_COLUMNS = LESIONS.described() | PLACED.described() | CHANGED.described()

COHORT, PAGE, FINDINGS = "cohort.tsv", "index.html", "findings.tsv"
"""What is written of several scans together."""


@dataclass(frozen=True)
class DetectSummary:
    """What became of the scans.

    Attributes
    ----------
    scans : tuple of dict
        What ``summary.json`` says of each, with its ``folder``.
    made : int
        How many were not done before.
    """

    scans: tuple[dict[str, Any], ...]
    made: int


def detect(
    model: Path,
    scans: Sequence[Scan],
    out: Path,
    recipe: Detecting | None = None,
    *,
    jobs: int = 1,
    on_progress: OnProgress = lambda done, total, what: None,
    problems: Problems | None = None,
) -> DetectSummary:
    """Look at several scans: a folder each in `out`, and a table and a page of all.

    A scan that cannot be looked at does not stop the others; those that are done are left alone.

    Parameters
    ----------
    model : Path
        A model, see :mod:`cmb_toolkit.bundle`.
    scans : sequence of Scan
    out : Path
    recipe : Detecting, optional
    jobs : int
        Worker processes; each takes some 3 GB.
    on_progress : callable
        Called after each scan.
    problems : Problems, optional
        Where to gather what is wrong with single scans, instead of raising it after the others are done.

    Raises
    ------
    UsageError, MissingError, DataError, StorageError
    """
    recipe = recipe or Detecting()
    _check_extra(recipe)
    if recipe.prior and ((recipe.prior / SUMMARY).is_file() or not recipe.prior.is_dir()):
        raise UsageError(
            f"{recipe.prior}: is of one scan, or no folder. Of several scans give the folder of their earlier results, "
            "in which each has a folder of its name."
        )
    gathered = Problems() if problems is None else problems
    failed = Problems()
    for name in (COHORT, FINDINGS, PAGE):
        _check_table(out / name)
    with opened(model) as bundle:
        verify(bundle, model)
        work = partial(_one, bundle.folder, out=out, recipe=recipe)
        done = for_each(work, scans, jobs=jobs, on_progress=on_progress, label=lambda s: s.name, problems=failed)
        summary = DetectSummary(
            tuple({**each, "folder": out / each["subject"]} for each, _ in done), sum(made for _, made in done)
        )
        _write_cohort(out, bundle.folder, scans, summary, failed, recipe)
    gathered.extend(failed)
    if problems is None:
        gathered.raise_if_any()
    return summary


def detect_scan(
    model: Path,
    scan: Scan,
    out: Path,
    recipe: Detecting | None = None,
    *,
    on_progress: OnProgress = lambda done, total, what: None,
) -> DetectSummary:
    """Look at one scan; its files are `out`.

    Raises
    ------
    UsageError, MissingError, DataError, StorageError
    """
    recipe = recipe or Detecting()
    _check_extra(recipe)
    on_progress(0, 1, scan.name)
    with opened(model) as bundle:
        verify(bundle, model)
        summary, made = _written(bundle, scan, out, recipe, recipe.prior)
    on_progress(1, 1, scan.name)
    return DetectSummary(({**summary, "folder": out},), int(made))


def _check_extra(recipe: Detecting) -> None:
    """Before long work."""
    for asked, option in ((recipe.regions, "--regions"), (recipe.prior, "--prior")):
        if asked:
            check_installed(option)


# --- one scan, perhaps in a worker process ---------------------------------------------------------------------------


@lru_cache(maxsize=1)
def _networks(folder: Path) -> tuple[Bundle, Any]:
    from ..detect.networks import load

    with opened(folder) as bundle:
        return bundle, load(bundle)


def _one(folder: Path, scan: Scan, *, out: Path, recipe: Detecting) -> tuple[dict[str, Any], bool]:
    with opened(folder) as bundle:
        prior = recipe.prior / scan.name if recipe.prior else None
        return _written(bundle, scan, out / scan.name, recipe, prior if prior and prior.is_dir() else None)


def _written(
    bundle: Bundle, scan: Scan, out: Path, recipe: Detecting, prior: Path | None
) -> tuple[dict[str, Any], bool]:
    """The summary of a scan, and whether it was made now."""
    check_files(scan)
    if prior:
        check_earlier(prior, out)
    record = _record(bundle, scan, recipe, prior)
    _check_output(out, record)
    made = not record.is_current(out)
    if made:
        from ..detect.scan import look_at
        from ..detect.summary import page_of, summary_of
        from ..report.scan.page import scan_page

        _, networks = _networks(bundle.folder)
        looked = look_at(scan, bundle.content, networks, recipe)
        if recipe.prior:
            earlier, looked_with = read_earlier(prior) if prior else None, f"{bundle.title}, {recipe.operating}"
            looked = looked.held_against(earlier, looked_with, force=recipe.force)
        summary = summary_of(scan.name, looked, bundle, recipe)
        with publish(out, record) as folder:
            folder.mkdir()
            _write_volumes(folder, looked)
            lesions = looked.table
            write_tsv(lesions[lesions["kept"]], folder / TABLE)
            write_tsv(lesions, folder / ALL)
            (folder / SUMMARY).write_text(json.dumps(summary, indent=2, sort_keys=True) + "\n", "utf-8")
            if looked.since:
                write_tsv(looked.since.gone, folder / GONE_FROM)
            inputs = {role: sha256(path) for role, path in scan.files.items()}
            page = page_of(summary, looked, bundle, recipe, inputs, record.engine or "")
            (folder / REPORT).write_text(scan_page(page), "utf-8")
            folder.note(columns={name: said for name, said in _COLUMNS.items() if name in lesions})
    return load_json(out / SUMMARY, "Remove the folder and run `cmbtk detect` again."), made


def _record(bundle: Bundle, scan: Scan, recipe: Detecting, prior: Path | None) -> Record:
    asked = {"prior": True} if recipe.prior else {}
    earlier = {f"{role} of the earlier scan": prior / name for role, name in EARLIER.items()} if prior else {}
    return Record(
        "detect",
        {**recipe.parameters(), **asked, "subject": scan.name, "scan": _said_of(scan)},
        {
            "model": bundle.folder / MODEL,
            **scan.files,
            **{f"sidecar of the {r}": p for r, p in scan.sidecars.items()},
            **earlier,
        },
        engine(bundle),
        REVISION,
    )


def _said_of(scan: Scan) -> dict[str, Any]:
    """What is known of a scan beside its files."""
    names = ("phase_sign", "phase_range", "echo_time_ms", "echo", "phase_volume")
    return {name: value for name in names if (value := getattr(scan, name)) is not None}


def _check_output(out: Path, record: Record) -> None:
    """Refuse to replace what this step did not write."""
    written = {REPORT, SUMMARY, TABLE, ALL, LABELS, MAP, BRAIN, GONE_FROM}
    if not out.exists():
        return
    old = read_record(out)
    inside = {path.name for path in out.iterdir()} if out.is_dir() else {"a file"}
    if (inside and (old is None or old["step"] != record.step)) or not inside <= written:
        raise UsageError(
            f"{out}: holds {min(inside - written or inside)}, which would be replaced and is not of `cmbtk detect`. "
            "Choose another output."
        )


def _check_table(target: Path) -> None:
    """Refuse to replace what somebody else has put there."""
    old = read_record(target)
    if target.exists() and (old is None or old["step"] != "detect"):
        raise UsageError(f"{target}: is not of `cmbtk detect`, and would be replaced. Choose another output.")


def _write_volumes(folder: Output, looked: Any) -> None:
    """Label map and all candidates' probabilities on the scan's own voxels; the brain on coarse ones."""
    from ..detect.lesions import labels_on, probabilities_on

    own, kept = looked.own, int(looked.table["kept"].sum())
    every = labels_on(looked.on, looked.world, looked.regions, own.file_shape, own.file_affine)
    write_labels(folder / LABELS, np.where(every <= kept, every, 0), own.path)
    canonical = labels_on(looked.on, looked.world, looked.regions, own.shape, own.affine)
    column = "score" if looked.table["probability"].isna().any() else "probability"
    write_volume(folder / MAP, probabilities_on(canonical, looked.table[column].to_numpy(float)), own)
    write_on_own_grid(folder / BRAIN, looked.brain.image, looked.brain.affine)


# --- all of them -----------------------------------------------------------------------------------------------------


def _write_cohort(
    out: Path, model: Path, scans: Sequence[Scan], summary: DetectSummary, failed: Problems, recipe: Detecting
) -> None:
    """A table of scans, one of their candidates, and a page."""
    from ..report.scan.cohort import cohort_page

    lines, rows, tables = [], [], []
    for scan in summary.scans:
        table = read_tsv(scan["folder"] / ALL, LESIONS.needed)
        lines.append(_line(scan, table))
        rows.append(_row(scan, lines[-1]))
        name = str(scan["subject"])
        called = [f"{name}_cand-{number:04d}" for number in table["id"]]
        shown = table["probability"].fillna(table["score"])
        tables.append(table.assign(participant_id=name, candidate_id=called, role="test", probability=shown))
    files = {scan.name: scan.files for scan in scans}
    for subject, error in zip(failed.subjects, failed.found, strict=True):
        why = without_names(str(error), files.get(subject, {}))
        lines.append({"participant_id": subject, "range": "n/a", "reasons": why})
        rows.append(_row({"subject": subject}, lines[-1], failed=why))
    sources = {str(scan["subject"]): scan["folder"] / SUMMARY for scan in summary.scans}
    record = Record("detect", recipe.parameters(), {"model": model / MODEL, **sources}, revision=REVISION)
    found = pd.concat(tables, ignore_index=True)[FOUND.names] if tables else pd.DataFrame(columns=FOUND.names)
    shown_of_scans = [name for name in LOOKED_AT.names if recipe.regions or name not in GROUPS]
    for name, frame, columns in (
        (COHORT, pd.DataFrame(lines, columns=shown_of_scans), LOOKED_AT),
        (FINDINGS, found, FOUND),
    ):
        with publish(out / name, record) as target:
            target.note(columns=columns.described())
            write_tsv(frame, target)
    with publish(out / PAGE, record) as target:
        target.write_text(cohort_page(rows), "utf-8")


def _line(scan: dict[str, Any], table: pd.DataFrame) -> dict[str, Any]:
    """A scan's line in the table of the cohort."""
    shown = table["probability"].fillna(table["score"])
    return {
        "participant_id": scan["subject"],
        "range": scan["range"],
        "findings": scan["findings"],
        "best": shown.max() if len(shown) else np.nan,
        "candidates": scan["candidates"],
        "brain_ml": scan["brain_ml"],
        "slices": scan["shape"][2],
        "voxel_mm": " x ".join(f"{side:.3g}" for side in scan["voxel_mm"]),
        "learned_from": scan["learned_from_this_scan"],
        **{group: scan.get("regions", {}).get(group) for group in GROUPS},
        "reasons": "; ".join(scan["reasons"]) or None,
    }


def _row(scan: dict[str, Any], line: dict[str, Any], failed: str = "") -> CohortRow:
    """The same on the page."""
    from ..report.scan.cohort import CohortRow

    name = str(scan["subject"])
    if failed:
        return CohortRow(name, failed=failed)
    return CohortRow(
        name,
        line["range"],
        tuple(scan["reasons"]),
        findings=int(line["findings"]),
        candidates=int(line["candidates"]),
        best=float(line["best"]),
        brain_ml=float(line["brain_ml"]),
        slices=int(line["slices"]),
        voxels=f"{line['voxel_mm']} mm",
        link=f"{name}/{REPORT}",
    )
