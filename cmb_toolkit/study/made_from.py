"""What a cell's project and patches were made from, and whether they are still what was made."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pandas as pd

from ..darknet.contents import edited, fingerprints_of_project
from ..darknet.project import CFG
from ..errors import DataError
from ..io.publish import identity, read_record, unchanged
from .cohort import read_microbleeds
from .layout import Cell, Study

__all__ = [
    "changed_in_cell",
    "changed_since_training",
    "check_patches",
    "edited_in_project",
    "edited_patches",
    "marks_digests",
    "other_marks",
    "patches_digest",
    "prepared_with",
    "project_digest",
]


def project_digest(cell: Cell) -> str:
    """Identity of a cell's project: of what it was made from, the same after it was made again.

    Raises
    ------
    MissingError
        If it is not there or not complete.
    """
    missing = f"{cell.project}: no finished Darknet project. Run `cmbtk prepare-yolo` for this cell first."
    return identity(cell.project, missing)


def patches_digest(cell: Cell) -> str:
    """Identity of a cell's patches, likewise.

    Raises
    ------
    MissingError
        If they are not there or not complete.
    """
    return identity(cell.patches, f"{cell.patches}: no patches. Run `cmbtk stage2-crop` for this cell first.")


def prepared_with(cell: Cell) -> dict[str, Any]:
    """What `cmbtk prepare-yolo` was asked for, by the names of its recipe; empty where there is no finished project."""
    return dict((read_record(cell.project) or {}).get("parameters", {}))


def edited_in_project(cell: Cell) -> list[str]:
    """Which lists, labels and images of a cell's project are not those that `cmbtk prepare-yolo` wrote.

    Returns
    -------
    list of str
        For people; empty where all is as it was, and for projects of older versions, which noted nothing of it.
    """
    noted = (read_record(cell.project) or {}).get("contents")
    return edited(noted, fingerprints_of_project(cell.project)) if noted is not None else []


def edited_patches(cell: Cell) -> list[str]:
    """Which files of a cell's patches are not those that `cmbtk stage2-crop` wrote, likewise."""
    noted = (read_record(cell.patches) or {}).get("contents")
    if not isinstance(noted, list):
        return []
    return [known["file"] for known in noted if not unchanged(cell.patches / known["file"], known)]


def marks_digests(marks: pd.DataFrame) -> dict[str, str]:
    """Fingerprints of the marks that labels are made from, by subject."""
    places = {str(subject): rows for subject, rows in marks.groupby("participant_id")[["i", "j", "k"]]}
    return {subject: _sha256(sorted(rows.to_numpy(float).tolist()))[:16] for subject, rows in places.items()}


def other_marks(study: Study, cell: Cell) -> list[str]:
    """Whom the study has other marks of by now than the labels that a cell learns from were made from.

    Returns
    -------
    list of str
        A line for people, or none; subjects to test on do not count, and older versions noted nothing.
    """
    record = read_record(cell.project) or {}
    noted, roles = record.get("marks"), record.get("parameters", {}).get("roles", {})
    if not isinstance(noted, dict) or not study.microbleeds.is_file():
        return []
    now = marks_digests(read_microbleeds(study))
    learned = sorted({*roles.get("train", []), *roles.get("validation", [])})
    changed = [subject for subject in learned if noted.get(subject) != now.get(subject)]
    if not changed:
        return []
    return [
        f"{study.microbleeds.name} has other marks of {_some(changed)} than the labels of {cell.name} "
        "were made from: run `cmbtk prepare-yolo` again to learn from them"
    ]


def changed_in_cell(study: Study, cell: Cell) -> list[str]:
    """What a cell learned from that is not what stands there now, so that its numbers are of something else.

    Returns
    -------
    list of str
        One line each, for people.
    """
    lines = []
    if changed := edited_in_project(cell):
        lines.append(
            f"{', '.join(changed)} in {cell.project.name}/ changed since `cmbtk prepare-yolo` wrote them: what was "
            "trained before was trained on other labels, lists or images than stand there now"
        )
    if changed := edited_patches(cell):
        lines.append(
            f"{' and '.join(changed)} in {cell.patches.name}/ changed since `cmbtk stage2-crop` wrote them: what was "
            "trained before was trained on other patches than stand there now"
        )
    for known in (read_record(cell.patches) or {}).get("sources", []):
        marks = study.microbleeds
        if known.get("file") == marks.name and marks.is_file() and not unchanged(marks, known):
            lines.append(f"{marks.name} changed since the patches were cut: run `cmbtk stage2-crop` again")
    return lines + _other_volumes(study, cell) + other_marks(study, cell)


def _other_volumes(study: Study, cell: Cell) -> list[str]:
    """Whose volumes are others by now than those that a cell's project was made from; older versions noted none."""
    changed = set()
    for known in (read_record(cell.project) or {}).get("volumes", []):
        subject = known.get("subject", "")
        volumes = (study.swi(subject), study.phase(subject), study.magnitude(subject), study.mask(subject))
        path = next((path for path in volumes if path.name == known.get("file")), None)
        if path is None or not path.is_file() or not unchanged(path, known):
            changed.add(subject)
    if not changed:
        return []
    return [
        f"the preprocessed volumes of {_some(sorted(changed))} changed since `cmbtk prepare-yolo`: run it again, and "
        f"what follows, so that all of {cell.name} is of the same scans"
    ]


def _some(names: list[str]) -> str:
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return ", ".join(names[:5]) + more


def changed_since_training(study: Study, cell: Cell, weights: Path) -> list[str]:
    """What of a cell's project is not as it was when its detector was trained on it.

    Parameters
    ----------
    study : Study
    cell : Cell
    weights : Path
        Those that are used. Of others than the cell's own only a change by hand can be told.

    Returns
    -------
    list of str
        One line each, for people.
    """
    lines = changed_in_cell(study, cell)
    record = read_record(weights) or {}
    if weights.absolute() != cell.weights.absolute() or record.get("step") != "stage1-train":
        return lines
    project = record["parameters"].get("project")
    if project is not None and project != project_digest(cell):
        lines.append(f"{weights.name} was trained on another project than the cell holds now (other labels or images)")
    cfg = cell.project / CFG
    for known in record["sources"]:
        if known.get("file") == CFG and cfg.is_file() and not unchanged(cfg, known):
            lines.append(f"{CFG} changed since {weights.name} was trained with it")
    return lines


def check_patches(cell: Cell) -> None:
    """Refuse patches that were changed since they were cut.

    Raises
    ------
    DataError
    """
    if changed := edited_patches(cell):
        raise DataError(
            f"{cell.patches}: {' and '.join(changed)} changed since `cmbtk stage2-crop` wrote the patches, so that "
            "table and array may no longer belong together. Remove this folder and run `cmbtk stage2-crop` again; "
            "labels come from microbleeds.tsv."
        )


def _sha256(value: object) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
