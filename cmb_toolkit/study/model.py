"""A trained model: a cell's networks, and all that must be known to use them on other scans."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ..darknet.project import CFG
from ..detectors import DETECTORS
from ..errors import MissingError
from ..evaluation.results import Threshold
from ..io.publish import read_record
from ..purpose import Purpose
from .cell import Setup, read_setup, thresholds
from .cohort import read_participants
from .layout import Cell, Study
from .lineage import learned_from
from .persons import person_of

__all__ = ["Model", "Network", "detector_file", "read_model"]


@dataclass(frozen=True)
class Network:
    """A trained network.

    Attributes
    ----------
    file : Path
    trained_for : Purpose or None
        What it takes: input, channels, side of image or patch, scale, mm per pixel and from slice to slice, ...; None
        where nobody noted it.
    """

    file: Path
    trained_for: Purpose | None


@dataclass(frozen=True)
class Model:
    """What a cell learned.

    Attributes
    ----------
    name : str
        Of the cell.
    setup : Setup
        Method, input, size of the image, scale of grey values, ...
    cfg : Path or None
        Layers of the detector; None of a method that has none.
    detector, classifier : Network or None
        Of stage 1 and of stage 2; None where there is none.
    thresholds : mapping
        ``stage1``, ``stage2`` -> least score of what is kept, and who chose it.
    preprocessing : mapping
        Options of `cmbtk preprocess` that all scans learned from were cleaned with; what differs from scan to scan is
        left out.
    persons : frozenset of str
        Who was learned from, in training or to choose by: they must not be tested on.
    unknown : tuple of str
        Of what it is not known who was learned from.
    """

    name: str
    setup: Setup
    cfg: Path | None
    detector: Network | None
    classifier: Network | None
    thresholds: Mapping[str, Threshold]
    preprocessing: Mapping[str, Any]
    persons: frozenset[str]
    unknown: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        """The model without paths, for a file beside copies of its networks."""
        networks = {"detector": self.detector, "classifier": self.classifier}
        return {
            "name": self.name,
            "setup": asdict(self.setup),
            "trained_for": {
                name: network.trained_for.as_json()
                for name, network in networks.items()
                if network is not None and network.trained_for is not None
            },
            "thresholds": {stage: asdict(each) for stage, each in self.thresholds.items()},
            "preprocessing": dict(self.preprocessing),
            "persons": sorted(self.persons),
            "unknown": list(self.unknown),
        }


def detector_file(cell: Cell, setup: Setup) -> Path | None:
    """Where a cell's detector lies, or is to lie; None of a method that learns nothing."""
    method = DETECTORS[setup.method]
    return cell.weights if not method.finder else cell.network if method.learns else None


def read_model(study: Study, cell: Cell) -> Model:
    """What a cell learned, by its own records.

    Raises
    ------
    MissingError
        If it is no cell, or has neither a detector nor candidates of a method without one.
    DataError
    """
    setup = read_setup(cell)
    detector = _network(detector_file(cell, setup))
    if detector is None and not (DETECTORS[setup.method].finder and cell.candidates.is_file()):
        raise MissingError(f"{cell.weights}: weights not found. Run `cmbtk stage1-train {cell.folder}` first.")
    uses, unknown = learned_from(study, cell)
    subjects = {subject for use in uses for subject in use.subjects}
    participants = read_participants(study)
    known = dict(zip(participants["participant_id"], participants["person_id"], strict=True))
    cfg = cell.project / CFG
    return Model(
        name=cell.name,
        setup=setup,
        cfg=cfg if cfg.is_file() else None,
        detector=detector,
        classifier=_network(cell.cnn),
        thresholds=thresholds(cell),
        preprocessing=_preprocessing(study, sorted(subjects)),
        persons=frozenset(known.get(subject, person_of(subject)) for subject in subjects),
        unknown=tuple(unknown),
    )


def _network(file: Path | None) -> Network | None:
    if file is None or not file.is_file():
        return None
    return Network(file, Purpose.from_json((read_record(file) or {}).get("trained_for")))


def _preprocessing(study: Study, subjects: Iterable[str]) -> dict[str, Any]:
    """Options that the scans of all these subjects were cleaned with."""
    records = [read_record(study.subject(subject)) for subject in subjects]
    cleaned = [record["parameters"] for record in records if record is not None and record["step"] == "preprocess"]
    if not cleaned:
        return {}
    first, *others = cleaned
    return {name: value for name, value in first.items() if all(other.get(name) == value for other in others)}
