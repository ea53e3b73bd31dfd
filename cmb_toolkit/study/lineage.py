"""Who a cell was learned from, by its own records, held against who it is tested on.

Part of ``evaluate``; looks at records and small tables only.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from ..darknet.project import TRAIN_LIST, VALID_LIST, read_list
from ..errors import DataError
from ..evaluation.leaks import LeakCheck, Use, check_leaks
from ..io.publish import read_record, sha256, sidecar
from ..io.tables import read_tsv
from ..slices import split_stem
from .cell import read_setup
from .cohort import read_participants
from .layout import Cell, Study
from .made_from import patches_digest, project_digest
from .patches import TABLE
from .persons import person_of

__all__ = ["check_cell", "learned_from"]

_LEARNED_FROM = {"train": "training", "validation": "thresholds and the choice of the model"}


def check_cell(study: Study, cell: Cell, tested: Iterable[str]) -> LeakCheck:
    """Make sure that a cell learned nothing from the subjects it is tested on.

    Parameters
    ----------
    study : Study
    cell : Cell
    tested : iterable of str
        Subjects of the roles test and control that are evaluated.

    Returns
    -------
    LeakCheck

    Raises
    ------
    DataError
        If a tested subject is in a list of images to train or choose by, among the candidates or patches that stage 2
        or a threshold was learned from, or in what other weights used here were trained on; or if a result was made
        from another project or other patches than the cell holds now, so that its records say nothing about it.
    """
    _check_chain(cell)
    uses, unknown = learned_from(study, cell)
    participants = read_participants(study)
    persons = {subject: person_of(subject) for use in uses for subject in use.subjects}
    persons |= dict(zip(participants["participant_id"], participants["person_id"], strict=True))
    return check_leaks(tested, uses, unknown, persons)


def learned_from(study: Study, cell: Cell) -> tuple[list[Use], list[str]]:
    """Who a cell was learned from, by its own records and those of other weights used in it; and of what that is not
    known.

    Raises
    ------
    MissingError, DataError
        If it is no cell, or its tables cannot be read.
    """
    foreign, unknown = _foreign_weights(study, cell)
    return [*_uses(cell), *foreign], [*unknown, *_without_provenance(cell)]


def _uses(cell: Cell, prefix: str = "") -> Iterator[Use]:
    """Everybody that the steps of a cell learned from, by the records and tables that say so."""

    def name(path: Path) -> str:
        return prefix + str(path.relative_to(cell.folder))

    roles = read_setup(cell).roles
    for role, purpose in _LEARNED_FROM.items():
        yield Use(name(sidecar(cell.project)), purpose, tuple(roles[role]))
    for images, purpose in ((TRAIN_LIST, "training of stage 1"), (VALID_LIST, "validation of stage 1")):
        path = cell.project / images
        if path.is_file():
            subjects = {split_stem(Path(image).stem)[0] for image in read_list(path)}
            yield Use(name(path), purpose, tuple(sorted(subjects)))
    for table, what in (
        (cell.candidates, "stage 1's candidates"),
        (cell.patches / TABLE, "stage 2's patches"),
        (cell.findings, "stage 2's findings"),
    ):
        if table.is_file():
            rows = read_tsv(table, ["participant_id", "role"])
            for role, purpose in _LEARNED_FROM.items():
                mine = rows["participant_id"][rows["role"] == role]
                yield Use(name(table), f"{purpose} ({what})", tuple(sorted(set(mine))))
    for role, purpose in _LEARNED_FROM.items():
        cropped = _record(cell.patches).get("parameters", {}).get("roles", {})
        trained = _record(cell.cnn).get(role, {})
        if role in cropped:
            yield Use(name(sidecar(cell.patches)), f"{purpose} (stage 2's patches)", tuple(cropped[role]))
        if "subjects" in trained:
            yield Use(name(sidecar(cell.cnn)), f"{purpose} of stage 2", tuple(trained["subjects"]))


def _check_chain(cell: Cell) -> None:
    """Refuse results of a project or of patches that the cell no longer holds."""
    for key, made_from, results, again in (
        ("project", project_digest, (cell.weights, cell.candidates), "stage1-train` and `cmbtk stage1-detect"),
        ("patches", patches_digest, (cell.cnn, cell.findings), "stage2-train` and `cmbtk stage2-classify"),
    ):
        for result in results:
            noted = _record(result).get("parameters", {}).get(key)
            if noted is not None and result.is_file() and noted != made_from(cell):
                raise DataError(
                    f"{result}: made from another {key} than the cell holds now, so that nobody can say whether the "
                    f"present test subjects were learned from. Run `cmbtk {again}` again."
                )


def _foreign_weights(study: Study, cell: Cell) -> tuple[list[Use], list[str]]:
    """Who other weights were trained on, that were detected with or begun from; and which of them are not known."""
    uses: list[Use] = []
    unknown: list[str] = []
    followed, left = {cell.folder}, [(cell, cell.candidates), (cell, cell.weights)]
    while left:
        user, result = left.pop()
        for source in _record(result).get("sources", []):
            if source["file"].endswith((".cfg", ".tsv", ".nii.gz")):
                continue
            owner = _owner(study, user, source)
            if owner is None:
                name = sidecar(result).name if user == cell else f"{user.name}/{sidecar(result).name}"
                unknown.append(f"{name}: {source['file']}, sha256 {source['sha256'][:12]}")
            elif owner.folder not in followed:
                followed.add(owner.folder)
                uses += _uses(owner, f"{owner.name}/")
                left.append((owner, owner.weights))
    return uses, unknown


def _without_provenance(cell: Cell) -> Iterator[str]:
    """What of a cell has no record that says what it was made from."""
    if not _record(cell.candidates):
        yield f"{cell.candidates.name}: no record of the weights or the method that found them"
    if not cell.findings.is_file():
        return
    network = [source for source in _record(cell.findings).get("sources", []) if source["file"] == cell.cnn.name]
    if not network:
        yield f"{cell.findings.name}: no record of the network that classified them"
    elif "train" not in _record(cell.cnn) or network[0]["sha256"] != sha256(cell.cnn):
        yield f"{sidecar(cell.findings).name}: {cell.cnn.name}, sha256 {network[0]['sha256'][:12]}"


def _owner(study: Study, cell: Cell, source: dict[str, Any]) -> Cell | None:
    """The cell of the study that trained these weights."""
    for each in (cell, *study.cells()):
        if not each.weights.is_file() or not _record(each.weights):
            continue
        facts = each.weights.stat()
        # weights are large: what was not touched since is not read again
        same = facts.st_mtime_ns == source["modified_ns"] and each == cell
        if facts.st_size == source["bytes"] and (same or sha256(each.weights) == source["sha256"]):
            return each
    return None


def _record(path: Path) -> dict[str, Any]:
    return read_record(path) or {}
