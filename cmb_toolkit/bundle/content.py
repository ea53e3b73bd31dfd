"""What a model says of itself: ``model.json``, and what of it can be right."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, is_dataclass
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from ..detectors import DETECTORS
from ..errors import DataError
from ..purpose import Purpose

__all__ = [
    "CLASSIFIER",
    "DETECTOR",
    "LAYERS",
    "NETWORK",
    "OPERATING",
    "SCHEMA",
    "Calibration",
    "Compared",
    "Content",
    "Grid",
    "Learned",
    "Look",
    "OnImages",
    "OnScans",
    "Parent",
    "Point",
    "parse",
]

SCHEMA = 2
"""Of ``model.json``; another one is refused."""

DETECTOR, LAYERS, NETWORK, CLASSIFIER = "detector.weights", "detector.cfg", "detector.npz", "classifier.keras"
"""The networks' files: of a detector on slices its weights and layers, of another method that learns its network."""

_LONGEST = 10_000

Operating = Literal["sensitive", "balanced", "specific"]
OPERATING: dict[Operating, float] = {"sensitive": 2.0, "balanced": 0.5, "specific": 0.125}
"""Operating points: false positives a subject that each allows on the validation subjects."""


@dataclass(frozen=True)
class Grid:
    """A grid that was learned from: voxel size along i, j, k [mm], voxels along i and j, how many scans had it."""

    voxel_mm: tuple[float, float, float]
    matrix: tuple[int, int]
    scans: int


@dataclass(frozen=True)
class OnImages:
    """How slices become the images that a detector takes.

    Attributes
    ----------
    input : str
        See :data:`cmb_toolkit.model.INPUTS`.
    size : int
        Side of the image [px].
    mode : {"auto", "crop", "resize"}
    scale, background : str
        How grey values become 0..1.
    nms : float
        Overlap of two boxes from which the weaker is left out.
    """

    input: str
    size: int
    mode: Literal["auto", "crop", "resize"]
    scale: Literal["paper", "slice", "fixed"]
    background: Literal["black", "white"]
    nms: float


@dataclass(frozen=True)
class OnScans:
    """How a method looks at clean scans.

    Attributes
    ----------
    settings : mapping
        Its own, by name.
    separation_mm : float
        Of candidates nearer than this [mm] the strongest is kept.
    """

    settings: Mapping[str, Any]
    separation_mm: float


@dataclass(frozen=True)
class Look:
    """How scans become what the networks take.

    Attributes
    ----------
    method : str
        How candidates are found, one of :data:`cmb_toolkit.detectors.DETECTORS`.
    images : OnImages or None
        Of a detector on slices.
    scans : OnScans or None
        Of a method that looks at clean scans.
    patch_scale : str
        How grey values become 0..1 in patches.
    by : {"both", "stage2"}
        Whose word the score is: of both stages, or of stage 2.
    confidence : float
        Least of stage 1's candidates.
    preprocessing : mapping
        Options of `cmbtk preprocess` that all scans learned from were cleaned with.
    shrink_from : float
        What looks so large or larger [mm] is shown to stage 2 shrunk to half; 0: nothing is.
    """

    method: str
    images: OnImages | None
    scans: OnScans | None
    patch_scale: Literal["paper", "slice", "fixed"]
    by: Literal["both", "stage2"]
    confidence: float
    preprocessing: Mapping[str, Any]
    shrink_from: float = 0.0


@dataclass(frozen=True)
class Point:
    """An operating point.

    Attributes
    ----------
    threshold : float
        Least score of what is called a microbleed.
    allowed : float
        False positives a subject that it was chosen for.
    sensitivity, false_positives : three floats or None
        What it reached on held-out subjects, with its 95 % interval: share found, false positives a subject.
    control_false_positives : float or None
        The same a healthy control.
    """

    threshold: float
    allowed: float
    sensitivity: tuple[float, float, float] | None = None
    false_positives: tuple[float, float, float] | None = None
    control_false_positives: float | None = None


@dataclass(frozen=True)
class Calibration:
    """Probability of a score ``s``: ``1 / (1 + exp(-(slope logit(s) + intercept)))`` (Platt 1999)."""

    slope: float
    intercept: float
    candidates: int


@dataclass(frozen=True)
class Learned:
    """Who was learned from.

    Attributes
    ----------
    kind : {"simulated", "real", "real and simulated"}
    persons, scans, microbleeds : int
        In training and to choose by.
    held_out_persons, held_out_microbleeds : int
        On whom the figures were taken, each by networks that knew nothing of them.
    folds : int
        How many trainings the figures and thresholds come from.
    controls : int
    digests : tuple of str
        SHA-256 of the phase (or real part) of each scan learned from, by which it is told when it comes back.
    echo_times_ms : (float, float) or None
    slices : (int, int)
        Least and greatest number.
    """

    kind: Literal["simulated", "real", "real and simulated"]
    persons: int
    scans: int
    microbleeds: int
    held_out_persons: int
    held_out_microbleeds: int
    folds: int
    controls: int
    digests: tuple[str, ...]
    echo_times_ms: tuple[float, float] | None
    slices: tuple[int, int]


@dataclass(frozen=True)
class Compared:
    """What a model and its parent reach on the same held-out subjects, each at its own threshold.

    Attributes
    ----------
    sensitivity, false_positives : five floats
        Of the parent, of the model, the difference (model less parent) and its 95 % interval: share found, false
        positives a subject.
    """

    sensitivity: tuple[float, float, float, float, float]
    false_positives: tuple[float, float, float, float, float]


@dataclass(frozen=True)
class Parent:
    """The model that one was made from, with what readers said of its findings.

    Attributes
    ----------
    name : str
        With its version.
    sha256 : str
        Of its ``model.json``.
    scans : int
        Reviewed ones that were learned from.
    microbleeds : int
        In them, as readers agree; with those that they added.
    added : int
    rejected : mapping
        What readers took findings for that are none -> how many.
    subjects : int
        Held out, on which both were compared.
    points : mapping
        Each of :data:`OPERATING` -> Compared; none where no subject with a microbleed was held out.
    verdict : {"better", "worse", "not told apart"}
        By the operating point balanced.
    """

    name: str
    sha256: str
    scans: int
    microbleeds: int
    added: int
    rejected: Mapping[str, int]
    subjects: int
    points: Mapping[str, Compared]
    verdict: Literal["better", "worse", "not told apart"]


@dataclass(frozen=True)
class Content:
    """All of it.

    Attributes
    ----------
    schema : int
    name, version, licence, author, contact, doi : str
        Said by who made it; empty where nothing was.
    toolkit : mapping
        Version and commit of the toolkit, and of what computed.
    look : Look
    grids : tuple of Grid
        The commonest first.
    detector, classifier : Purpose or None
        What the networks were trained for.
    points : mapping
        Each of :data:`OPERATING` -> Point.
    calibration : Calibration or None
    learned : Learned
    files : mapping
        Name -> bytes and sha256, of every other file.
    parent : Parent or None
        Of a model that has learned from what readers said of another one's findings.
    """

    schema: int
    name: str
    version: str
    licence: str
    author: str
    contact: str
    doi: str
    toolkit: Mapping[str, Any]
    look: Look
    grids: tuple[Grid, ...]
    detector: Purpose | None
    classifier: Purpose | None
    points: Mapping[str, Point]
    calibration: Calibration | None
    learned: Learned
    files: Mapping[str, Any] = field(default_factory=dict)
    parent: Parent | None = None

    def as_json(self) -> dict[str, Any]:
        """What `model.json` holds."""
        content = asdict(self)
        for name in ("detector", "classifier"):
            purpose = getattr(self, name)
            content[name] = None if purpose is None else purpose.as_json()
        if self.parent is None:
            del content["parent"]  # a model without one is as it was before there were any
        if not self.look.shrink_from:
            del content["look"]["shrink_from"]  # likewise
        return content


def parse(value: Any, where: str) -> Content:
    """The content of a ``model.json``.

    Raises
    ------
    DataError
        If it is of another schema, or anything in it is not what it must be.
    """
    schema = value.get("schema") if isinstance(value, dict) else None
    if schema != SCHEMA:
        raise DataError(
            f"{where}: is a model of schema {schema!r}; this cmb_toolkit reads {SCHEMA}. "
            "Use the version that made it, or train it again with `cmbtk train`."
        )
    try:
        content: Content = _build(Content, value, "")
    except ValueError as error:
        raise DataError(f"{where}: {error}. The model is damaged: get it again, or train it again.") from None
    if set(content.points) != set(OPERATING) or not content.grids:
        raise DataError(f"{where}: lacks grids or operating points. The model is damaged: get it again.")
    look = content.look
    if look.method not in DETECTORS:
        raise DataError(
            f"{where}: finds candidates by {look.method[:40]!r}, which this cmb_toolkit does not know. Use the version "
            "that made it."
        )
    if (look.scans if DETECTORS[look.method].finder else look.images) is None:
        raise DataError(f"{where}: does not say how {look.method} looks. The model is damaged: get it again.")
    return content


_LATER = {"parent", "shrink_from"}
"""What models do not say that have none of it."""


def _build(kind: Any, value: Any, at: str) -> Any:
    """A value of a declared kind out of JSON; ValueError says where there is none."""
    origin, inner = get_origin(kind), get_args(kind)
    if origin in (Union, UnionType):
        (one,) = (each for each in inner if each is not NoneType)
        return None if value is None else _build(one, value, at)
    if is_dataclass(kind) and isinstance(kind, type):
        return _object(kind, value, at)
    if origin is Mapping and isinstance(value, dict):
        return {str(name): each if inner[1] is Any else _build(inner[1], each, at) for name, each in value.items()}
    if origin is tuple and isinstance(value, list):
        kinds = inner[:1] * len(value) if inner[-1] is Ellipsis else inner
        if len(kinds) == len(value):
            return tuple(_build(one, each, at) for one, each in zip(kinds, value, strict=True))
    return _plain(kind, inner, value, at)


def _object(kind: type[Any], value: Any, at: str) -> Any:
    if kind is Purpose:
        if (purpose := Purpose.from_json(value)) is None:
            raise ValueError(f"{at} is no purpose of a network")
        return purpose
    known = {each.name for each in fields(kind)}
    if not isinstance(value, dict) or not known - _LATER <= set(value) <= known:
        raise ValueError(f"{at or 'it'} has other entries than it must have")
    hints = get_type_hints(kind)
    return kind(**{name: _build(hints[name], each, f"{at}.{name}".lstrip(".")) for name, each in value.items()})


def _plain(kind: Any, words: tuple[Any, ...], value: Any, at: str) -> Any:
    number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    if kind is float and number:
        return float(value)
    if kind is int and number and isinstance(value, int):
        return value
    if (kind is str and isinstance(value, str) and len(value) < _LONGEST) or (
        get_origin(kind) is Literal and isinstance(value, str) and value in words
    ):
        return value
    raise ValueError(f"{at} is {str(value)[:40]!r}")
