"""What a cell's project and patches were made from, and whether they are still what was made."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from ..darknet.contents import edited, fingerprints_of_project
from ..darknet.project import CFG
from ..errors import DataError, MissingError
from ..io.layout import Cell
from ..io.publish import read_record, unchanged

__all__ = [
    "changed_since_training",
    "check_patches",
    "edited_in_project",
    "edited_patches",
    "patches_digest",
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
    return _digest(cell.project, missing)


def patches_digest(cell: Cell) -> str:
    """Identity of a cell's patches, likewise.

    Raises
    ------
    MissingError
        If they are not there or not complete.
    """
    return _digest(cell.patches, f"{cell.patches}: no patches. Run `cmbtk stage2-crop` for this cell first.")


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


def changed_since_training(cell: Cell, weights: Path) -> list[str]:
    """What of a cell's project is not as it was when its detector was trained on it.

    Parameters
    ----------
    cell : Cell
    weights : Path
        Those that are used. Of others than the cell's own only a change by hand can be told.

    Returns
    -------
    list of str
        One line each, for people.
    """
    lines = []
    if changed := edited_in_project(cell):
        lines.append(
            f"{', '.join(changed)} of the cell's darknet folder changed since `cmbtk prepare-yolo` wrote them, so that "
            f"{weights.name} was trained on others than stand there now"
        )
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


def _digest(target: Path, missing: str) -> str:
    note: dict[str, Any] | None = read_record(target)
    if note is None or not target.is_dir():
        raise MissingError(missing)
    made_from = [note["version"], note["parameters"], [source["sha256"] for source in note["sources"]]]
    return hashlib.sha256(json.dumps(made_from, sort_keys=True).encode()).hexdigest()
