"""`cmbtk export`: the findings of a cell as files that other programs read."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from ..errors import DataError, MissingError, Problems, UsageError
from ..exports.base import Export
from ..io.publish import Record, publish, read_record, sha256, sidecar
from ..io.tables import read_tsv, write_tsv
from ..model import OnProgress
from ..names import SUBJECT
from ..schema import EXPORTED, FINDINGS
from ..study.cell import finding, looked_at, read_setup
from ..study.cohort import read_participants
from ..study.layout import Cell, Study
from ..study.scan import scan_of

__all__ = ["export"]

REVISION = 1


def export(cell: Path, recipe: Export, out: Path, *, on_progress: OnProgress, problems: Problems | None = None) -> Path:
    """Write the findings of each subject as files beside a table of them.

    A subject whose scan cannot be read does not keep the others out. A file that is there already, and was made from
    the same, is left alone.

    Parameters
    ----------
    cell : Path
    recipe : Export
        For example ``Labelmap(radius=2.0)``, see :data:`cmb_toolkit.exports.registry.EXPORTS`.
    out : Path
        Folder for ``<subject>_<export><ending>`` and ``<subject>_findings.tsv``.
    on_progress : callable
    problems : Problems, optional
        Where to gather what is wrong with single subjects, instead of raising it after the others are written.

    Returns
    -------
    Path
        The folder.

    Raises
    ------
    UsageError, MissingError, DataError, StorageError
    """
    study, files = Study.of_cell(cell)
    findings = _findings(files, recipe)
    subjects = [SUBJECT.check(name, files.setup) for name in read_setup(files).roles[recipe.role]]
    looked = looked_at(files)
    if not subjects or (looked is not None and recipe.role not in looked):
        why = f"run `cmbtk {finding(files)}` for it" if subjects else "no subject of the fold has it"
        raise UsageError(f"--role {recipe.role}: nobody was looked at in this role; {why}, or choose another.")
    rows = {str(name): row for name, row in read_participants(study).iterrows()}
    gathered = Problems() if problems is None else problems
    for done, subject in enumerate(subjects):
        on_progress(done, len(subjects), subject)
        with gathered.of(subject):
            if subject not in rows:
                raise DataError(
                    f"{study.participants}: {subject} is not in it. Put its line back, or run `cmbtk split`."
                )
            scan = scan_of(study, rows[subject])
            _write(files, recipe, _of(findings, subject), scan.magnitude or scan.swi or scan.real, out / subject)
    on_progress(len(subjects), len(subjects), "")
    if problems is None:
        gathered.raise_if_any()
    return out


def _findings(cell: Cell, recipe: Export) -> pd.DataFrame:
    """The findings that are asked for.

    Raises
    ------
    MissingError, DataError
    """
    if not cell.findings.is_file():
        raise MissingError(f"{cell.findings}: not found. Run `cmbtk stage2-classify` on this cell first.")
    table = read_tsv(cell.findings, FINDINGS.needed)
    if len(table) and table["kept"].dtype != bool:
        raise DataError(
            f"{cell.findings}: kept must be True or False in every line. Run `cmbtk stage2-classify` again."
        )
    return table if recipe.all else table[table["kept"].astype(bool)]


def _of(findings: pd.DataFrame, subject: str) -> pd.DataFrame:
    """Those of a subject, numbered: the same number whether or not others are there that were not kept."""
    mine = findings[findings["participant_id"] == subject]
    mine = mine.sort_values(["kept", "probability", "candidate_id"], ascending=[False, False, True], kind="stable")
    return mine.assign(id=range(1, len(mine) + 1))[EXPORTED.names].reset_index(drop=True)


def _write(cell: Cell, recipe: Export, findings: pd.DataFrame, scan: Path | None, stem: Path) -> None:
    assert scan is not None  # who can be imported has one of the three
    which = {"subject": stem.name, "role": recipe.role, "all": recipe.all}
    table = stem.with_name(f"{stem.name}_findings.tsv")
    record = Record("export", which, {"findings": cell.findings}, revision=REVISION)
    if not _is_there(table, record):
        with publish(table, record) as path:
            path.note(columns=EXPORTED.described())
            write_tsv(findings, path)
    target = stem.with_name(f"{stem.name}_{recipe.name}{recipe.ending}")
    asked = {**which, "to": recipe.name, **recipe.parameters()}
    record = Record("export", asked, {"findings": cell.findings, "scan": scan}, revision=REVISION)
    if not _is_there(target, record):
        with publish(target, record) as path:
            recipe.write(findings, scan, path)


def _is_there(target: Path, record: Record) -> bool:
    """Whether a file is there and made from the same.

    Raises
    ------
    UsageError
        If another one is there, or the same that somebody has corrected since.
    """
    if record.is_current(target):
        return True
    if target.exists():
        old = read_record(target)
        if old is None or old["step"] != "export" or old.get("sha256") != sha256(target):
            raise UsageError(
                f"{target}: somebody else has written or changed it, and it would be replaced. Move it away, or choose "
                "another folder."
            )
    elif sidecar(target).exists() and read_record(target) is None:
        raise UsageError(f"{sidecar(target)}: is not of `cmbtk export`, and would be replaced. Choose another folder.")
    return False
