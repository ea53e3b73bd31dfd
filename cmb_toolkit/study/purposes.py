"""What the networks of a study were trained for, by their records, held against what they are to be given."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from nibabel.affines import voxel_sizes

from ..darknet.cfg import read_cfg
from ..darknet.project import CFG
from ..errors import CmbError, DataError, MissingError
from ..imaging.settled_sign import LOOKS_WRONG
from ..io.publish import read_record, sha256
from ..purpose import PHASE, Purpose, contradictions, doubts, together
from .cell import read_setup
from .geometry import read_geometry
from .layout import Cell, Study
from .made_from import patches_digest, project_digest

__all__ = ["check_classifier", "check_detector", "of_images", "of_patches", "trained_classifier", "trained_detector"]

PATCH_INPUT = "swi beside phase"
"""What stage 2's patches show."""

_SHOWN = 3


def of_images(study: Study, cell: Cell, subjects: Iterable[str]) -> dict[str, Purpose]:
    """What a detector for the network images of a cell's subjects must have been trained for.

    Raises
    ------
    MissingError, DataError
        If the cell has no project.
    """
    setup, cfg = read_setup(cell), read_cfg(cell.project / CFG)
    found = {}
    for subject in subjects:
        found[subject] = Purpose(
            network=cfg.fingerprint,
            input=setup.input,
            channels=cfg.net.channels,
            size=cfg.net.width,
            scale=setup.scale,
            background=setup.background if "cphase" in setup.input else None,
            phase=PHASE if "phase" in setup.input else None,
            swi=_polarity(study, subject),
            **_geometry(study, subject, size=setup.size, mode=setup.mode),
        )
    return found


def of_patches(study: Study, cell: Cell, subjects: Iterable[str]) -> dict[str, Purpose]:
    """What a second stage for the patches of a cell's subjects must have been trained for.

    Raises
    ------
    MissingError
        If the cell has no patches.
    """
    patches_digest(cell)  # says what to do where there are none
    cropped = _record(cell.patches).get("parameters", {})
    return {
        subject: Purpose(
            input=PATCH_INPUT,
            channels=1,
            size=cropped.get("size"),
            scale=cropped.get("scale"),
            phase=PHASE,
            swi=_polarity(study, subject),
            **_geometry(study, subject),
        )
        for subject in subjects
    }


def trained_detector(study: Study, cell: Cell) -> Purpose:
    """What a training on a cell's project as it is now trains for."""
    return together(of_images(study, cell, read_setup(cell).roles["train"]).values())


def trained_classifier(study: Study, cell: Cell) -> Purpose:
    """What a training on a cell's patches as they are now trains for."""
    return together(of_patches(study, cell, _record(cell.patches)["parameters"]["roles"]["train"]).values())


def check_detector(study: Study, cell: Cell, weights: Path, subjects: Iterable[str]) -> list[str]:
    """Hold a detector's weights against the images of a cell's subjects.

    Parameters
    ----------
    study : Study
    cell : Cell
    weights : Path
        The cell's own or others. What they were trained for stands beside them; or beside the same weights in another
        cell of the study, where they were copied without it; or follows from the project that they were trained on.
    subjects : iterable of str

    Returns
    -------
    list of str
        What may be wrong; empty where all is as it was trained.

    Raises
    ------
    DataError
        If the weights were trained for something else.
    """
    asked = of_images(study, cell, subjects)
    record = _record_of_weights(study, weights)
    project = record.get("parameters", {}).get("project")
    trained = Purpose.from_json(record.get("trained_for")) or _of_its_project(study, cell, weights, project)
    if trained is None:
        return [_unknown(weights, "images")]
    if project == project_digest(cell):  # one setting decides for each subject of the project whether it is cropped
        asked = {subject: replace(one, mode=trained.mode) for subject, one in asked.items()}
    remedy = (
        "Give weights that were trained for these images (`cmbtk stage1-train`), or make the images as the weights "
        "need them (`cmbtk prepare-yolo`)."
    )
    return _held_against(trained, asked, weights, remedy) + _wrong_signs(study, list(asked))


def check_classifier(study: Study, cell: Cell, subjects: Iterable[str]) -> list[str]:
    """Hold a cell's second stage against the patches of its subjects, as :func:`check_detector` does for the first.

    Raises
    ------
    DataError
        If it was trained for something else.
    """
    asked = of_patches(study, cell, subjects)
    record = _record(cell.cnn, "stage2-train")
    same = record.get("parameters", {}).get("patches") == patches_digest(cell)
    trained = Purpose.from_json(record.get("trained_for")) or (trained_classifier(study, cell) if same else None)
    if trained is None:
        return [_unknown(cell.cnn, "patches")]
    remedy = "Cut the patches as it needs them (`cmbtk stage2-crop`), or train it on these (`cmbtk stage2-train`)."
    lines = _held_against(trained, asked, cell.cnn, remedy)
    if not same:
        lines.append(f"{cell.cnn.name} was trained on other patches than the cell holds now")
    return lines + _wrong_signs(study, list(asked))


def _held_against(trained: Purpose, asked: Mapping[str, Purpose], network: Path, remedy: str) -> list[str]:
    refused = list(dict.fromkeys(line for one in asked.values() for line in contradictions(trained, one)))
    if refused:
        raise DataError(f"{network}: was trained for something else. {'; '.join(refused)}. {remedy}")
    odd = [subject for subject, one in asked.items() if doubts(trained, one)]
    lines = doubts(trained, together(asked[subject] for subject in odd)) if odd else []
    return [f"{_names(odd, len(asked))}: {line}" for line in lines]


def _wrong_signs(study: Study, subjects: list[str]) -> list[str]:
    """Say whose phase is likely to be the reverse of what every network takes."""
    found = {subject: _record(study.subject(subject), "preprocess").get("found", {}) for subject in subjects}
    odd = [name for name, noted in found.items() if any(LOOKS_WRONG in line for line in noted.get("warnings", []))]
    if not odd:
        return []
    return [
        f"{_names(odd, len(subjects))}: {LOOKS_WRONG}, as `cmbtk preprocess` said: phase and SWI may be the reverse of "
        "what the network was trained with"
    ]


def _names(subjects: list[str], of: int) -> str:
    if len(subjects) == of:
        return f"all {of} subjects" if of > 1 else subjects[0]
    more = len(subjects) - _SHOWN
    return ", ".join(subjects[:_SHOWN]) + (f" and {more} more" if more > 0 else "")


def _unknown(network: Path, what: str) -> str:
    return (
        f"{network.name}: not known what it was trained for (there is no record of it), so that nobody can say whether "
        f"it fits these {what}"
    )


def _record_of_weights(study: Study, weights: Path) -> dict[str, Any]:
    """The record of a training, beside the weights or beside their like in the study; empty where there is none."""
    beside = _record(weights, "stage1-train")
    known = beside.get("sha256")
    if beside and (known is None or known == sha256(weights)):
        return beside
    size, digest = weights.stat().st_size, None
    for cell in study.cells():
        if cell.weights.is_file() and cell.weights.stat().st_size == size and _record(cell.weights, "stage1-train"):
            digest = digest or sha256(weights)
            if sha256(cell.weights) == digest and cell.weights.absolute() != weights.absolute():
                return _record(cell.weights, "stage1-train")
    return {}


def _of_its_project(study: Study, cell: Cell, weights: Path, project: object) -> Purpose | None:
    """From the project that weights were trained on, where a cell still holds it: trainings of older versions."""
    places = []
    with suppress(CmbError):
        places.append(Study.of_cell(weights.absolute().parent))
    places += [(study, cell)]
    places += [(study, other) for other in study.cells()]
    for its_study, its_cell in places:
        try:
            if project is not None and project_digest(its_cell) == project:
                return trained_detector(its_study, its_cell)
        except (MissingError, DataError):
            continue
    return None


def _polarity(study: Study, subject: str) -> str | None:
    """What the SWI of a subject darkens, where the toolkit made it."""
    made = _record(study.subject(subject), "preprocess").get("parameters", {})
    if "swi" in made.get("files", {}):
        return None
    polarity = made.get("swi_polarity")
    return polarity if isinstance(polarity, str) else None


def _geometry(study: Study, subject: str, **image: Any) -> dict[str, Any]:
    """Sides of the pixels of a subject's images, or of the voxels of its patches, and the distance of slices [mm]."""
    try:
        affine, frame = read_geometry(study, subject, **image)[1:]
    except MissingError:  # a project trains without the volumes that it was made from
        return {}
    voxel = voxel_sizes(affine)
    if image:
        voxel[:2] /= frame.scale_column, frame.scale_row
    low, high, distance = (round(float(side), 4) for side in (voxel[:2].min(), voxel[:2].max(), voxel[2]))
    return {"pixel_mm": (low, high), "slice_mm": (distance, distance), **({"mode": frame.mode} if image else {})}


def _record(path: Path, step: str = "") -> dict[str, Any]:
    record = read_record(path) or {}
    return record if not step or record.get("step") == step else {}
