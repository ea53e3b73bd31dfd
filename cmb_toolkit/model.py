"""The nouns of the toolkit: small frozen dataclasses that cross from one package to another.

Conventions, stated once for the whole package
----------------------------------------------
Volumes are (i, j, k) on the closest canonical (RAS+) axes: i grows to the patient's right, j to anterior, k to
superior; k is the slice. Voxel indices are 0-based and refer to voxel centres. World coordinates are millimetres
in the file's own scanner space. Network images are (row, column, channel). Boxes on an image are corners in
pixels, 0-based and half open: pixel ``c`` covers ``[c, c + 1)``, so its centre is at ``c + 0.5``. Phase is in
radians, paramagnetic positive.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from .errors import DataError

__all__ = [
    "BOX_SIZE",
    "EXCLUDED",
    "IMAGE_SIZE",
    "INPUTS",
    "LABEL_AXES",
    "LARGEST_IMAGE",
    "ROLES",
    "Box",
    "Counts",
    "Detection",
    "Fold",
    "Frame",
    "LabelAxes",
    "OnProgress",
]

BOX_SIZE = 20
"""Side of the square that stands for a microbleed on a network image [px] (paper, section 2.2.2)."""

IMAGE_SIZE = 448
"""Side of the paper's network image [px] (section 2.3)."""

LARGEST_IMAGE = 4096
"""Side of a network image at most [px]: the network for one of this side takes 80 times the paper's memory."""

INPUTS: tuple[str, ...] = (
    "swi",
    "swi+phase",
    "swi+phase+magnitude",
    "swi+cphase",
    "swi+cphase-averaged",
)
"""The five input images of the paper's Table 2; ``cphase`` is 1 - phase, ``averaged`` is over slices k-1, k, k+1."""

ROLES: tuple[str, ...] = ("train", "validation", "test", "control")
"""What a subject can be in a fold."""

LabelAxes = Literal["voxel", "array", "image"]
LABEL_AXES: tuple[LabelAxes, ...] = ("voxel", "array", "image")
"""What a label's x and y count, see :func:`cmb_toolkit.io.marks.labels_to_canonical`."""

EXCLUDED = "excluded"
"""Instead of a role: of a subject that a fold neither learns from nor looks at."""

OnProgress = Callable[[int, int, str], None]
"""How a step reports: ``on_progress(done, total, what)``. Steps never print."""


@dataclass(frozen=True)
class Frame:
    """How the in-plane grid of one volume maps to the square network image.

    ``column = scale_column * (distance from the patient's right edge [voxel]) + offset_column`` in pixel-edge
    coordinates, likewise rows from the anterior edge. Made and used by :mod:`cmb_toolkit.imaging.frame`.
    """

    shape: tuple[int, int]
    size: int
    mode: Literal["crop", "resize"]
    scale_column: float
    offset_column: float
    scale_row: float
    offset_row: float


@dataclass(frozen=True)
class Box:
    """A rectangle on one network image: corners [px], 0-based, half open."""

    left: float
    top: float
    right: float
    bottom: float
    confidence: float = 1.0

    @property
    def centre(self) -> tuple[float, float]:
        """Centre as (column, row) [px, edge coordinates]."""
        return (self.left + self.right) / 2, (self.top + self.bottom) / 2


@dataclass(frozen=True)
class Detection:
    """A box that an engine found on an image, which it knows only by the stem of its file name."""

    image: str
    box: Box


@dataclass(frozen=True)
class Fold:
    """Subjects of one fold; the sets are disjoint by construction.

    Healthy controls are detected on and counted apart, never trained or validated on. Excluded subjects stand in the
    fold for nothing.

    Raises
    ------
    DataError
        If a subject stands in two sets.
    """

    name: str
    train: tuple[str, ...]
    validation: tuple[str, ...]
    test: tuple[str, ...]
    control: tuple[str, ...] = ()
    excluded: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        seen: dict[str, str] = {}
        for role in (*ROLES, EXCLUDED):
            for subject in getattr(self, role):
                if subject in seen:
                    where = role if seen[subject] == role else f"both {seen[subject]} and {role}"
                    raise DataError(
                        f"fold {self.name}: subject {subject} stands twice, in {where}; every subject must be in "
                        "exactly one of train, validation, test and control. Make the folds again with `cmbtk split`."
                    )
                seen[subject] = role

    def role(self, subject: str) -> str | None:
        """Return the subject's role, one of ROLES or EXCLUDED, or None."""
        for role in (*ROLES, EXCLUDED):
            if subject in getattr(self, role):
                return role
        return None


@dataclass(frozen=True)
class Counts:
    """Counts of hits and misses over subjects; rates are computed from them (paper, equations 3 to 6).

    Adding two gives the pooled counts. Rates without a denominator are NaN, never 0.
    """

    tp: int = 0
    fp: int = 0
    fn: int = 0
    tn: int = 0
    subjects: int = 0

    def __add__(self, other: Counts) -> Counts:
        return Counts(
            self.tp + other.tp,
            self.fp + other.fp,
            self.fn + other.fn,
            self.tn + other.tn,
            self.subjects + other.subjects,
        )

    @property
    def sensitivity(self) -> float:
        """TP / (TP + FN), equation 3."""
        return _ratio(self.tp, self.tp + self.fn)

    @property
    def precision(self) -> float:
        """TP / (TP + FP), equation 4."""
        return _ratio(self.tp, self.tp + self.fp)

    @property
    def f1(self) -> float:
        """2 TP / (2 TP + FP + FN), equation 5."""
        return _ratio(2 * self.tp, 2 * self.tp + self.fp + self.fn)

    @property
    def fp_per_subject(self) -> float:
        """FP / subjects, equation 6 (the paper's FPavg)."""
        return _ratio(self.fp, self.subjects)

    @property
    def specificity(self) -> float:
        """TN / (TN + FP), used by the paper's Table 7."""
        return _ratio(self.tn, self.tn + self.fp)


def _ratio(numerator: float, denominator: float) -> float:
    return numerator / denominator if denominator else float("nan")
