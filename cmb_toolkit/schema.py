"""The tables of a study, declared once: their columns, what values these hold, in which unit, and what they are.

From here come the columns that a reader asks for, what it refuses, which columns are text whatever they look like, and
the descriptions in the provenance beside a table; docs/study.md is held to it. It lies below :mod:`cmb_toolkit.io`,
which reads by it, and below the packages of arrays, which make such tables.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from .model import EXCLUDED, ROLES

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "AGREED",
    "ASKED",
    "BOX",
    "CANDIDATES",
    "CHANGED",
    "CNN_HISTORY",
    "DETECTIONS",
    "EVALUATION",
    "EXPORTED",
    "FINDINGS",
    "FLAGS",
    "FOLDS",
    "GONE",
    "MARKS_ON",
    "MICROBLEEDS",
    "PARTICIPANTS",
    "PATCHES",
    "PLACE",
    "PLACED",
    "RESULTS",
    "REVIEWED",
    "ROUND",
    "SIMULATED_MICROBLEEDS",
    "SIMULATED_PARTICIPANTS",
    "VOLUMES",
    "VOXEL",
    "WORLD",
    "YOLO_HISTORY",
    "YOLO_WATCH",
    "Kind",
    "Range",
    "Table",
    "is_text",
    "kind_of",
    "unit_of",
]

# --- columns ---------------------------------------------------------------------------------------------------------

VOLUMES = ("magnitude", "phase", "swi", "mask", "real", "imaginary")
"""What a scan's files can be: columns of paths."""

MARKS_ON = tuple(name for name in VOLUMES if name != "mask")
"""Which of a subject's files the voxels of marks may be of."""

VOXEL = ("i", "j", "k")
"""A place on the closest canonical axes [voxel]."""

WORLD = ("x_mm", "y_mm", "z_mm")
"""A place in the world [mm], RAS."""

BOX = ("left", "top", "right", "bottom")
"""A box [px on the network image]."""

PLACE = ("participant_id", *VOXEL, *WORLD, *BOX)
"""Where a candidate is: what the rules look at."""

_LONGEST_NAME = 200


@dataclass(frozen=True)
class Range:
    """Numbers that a column may hold."""

    low: float
    high: float
    whole: bool = False

    def fit(self, column: pd.Series[Any]) -> bool:
        """Whether a column holds such numbers alone, and perhaps nothing."""
        if column.dtype == "str":
            return False
        numbers = column.dropna().to_numpy(float)
        inside = (numbers >= self.low) & (numbers <= self.high)
        return bool((inside & (numbers == numbers.round()) if self.whole else inside).all())

    def __str__(self) -> str:
        what = "a whole number" if self.whole else "a number with a decimal point"
        return f"{what} from {self.low:g} to {self.high:g}"


@dataclass(frozen=True)
class _Words:
    """Words that a column may hold."""

    words: tuple[str, ...]

    def fit(self, column: pd.Series[Any]) -> bool:
        """Whether a column holds these alone, and perhaps nothing."""
        return bool(column.dropna().isin(list(self.words)).all())

    def __str__(self) -> str:
        return " or ".join(self.words)


@dataclass(frozen=True)
class _Name:
    """Any text."""

    def fit(self, column: pd.Series[Any]) -> bool:
        return True

    def __str__(self) -> str:
        return "a name"


@dataclass(frozen=True)
class _Path:
    """Paths that a file system can hold."""

    def fit(self, column: pd.Series[Any]) -> bool:
        """Whether a column holds these alone, and perhaps nothing."""
        texts = column.dropna().tolist()
        return all(text.isprintable() and max(map(len, text.split("/"))) <= _LONGEST_NAME for text in texts)

    def __str__(self) -> str:
        return f"a path of printable characters, with no name of more than {_LONGEST_NAME} in it"


Kind: TypeAlias = Range | _Words | _Name | _Path

_SPAN, _SHARE, _COUNT = Range(-1e9, 1e9), Range(0, 1), Range(0, 1e12, whole=True)
_KINDS: Mapping[str, Kind] = {
    **dict.fromkeys(VOLUMES, _Path()),
    **dict.fromkeys(("i", "j", *WORLD, *BOX), _SPAN),
    **dict.fromkeys(("k", "first_k", "last_k"), Range(-1e9, 1e9, whole=True)),
    "label": Range(0, 1, whole=True),
    **dict.fromkeys(("probability", "network_probability", "sensitivity", "val_auc"), _SHARE),
    **dict.fromkeys(("confidence", "fp_per_subject"), Range(0, 1e9)),
    **dict.fromkeys(
        ("iteration", "epoch", "images", "boxes", "tp", "fp", "fn", "tn", "microbleeds", "duplicates"), _COUNT
    ),
    **dict.fromkeys(("loss", "avg_loss", "val_loss", "rate", "seconds"), Range(0, 1e30)),
    "role": _Words((*ROLES, EXCLUDED)),
    "stage": _Words(("stage1", "stage2", "overall")),
    "origin": _Words(("candidate", "microbleed", "reviewed")),
}

REVIEW_WORDS = ("verdict", "mimic", "reader", "comment", "added", "reviewed")
"""Columns of what readers say."""

FLAGS = ("best", "border", "kept")
"""Columns of True and False, which are words in every other."""


def kind_of(column: str) -> Kind | None:
    """What a column holds in every table; None where that is not said."""
    return _KINDS.get(column, _Name() if column.endswith("_id") else None)


def is_text(column: str) -> bool:
    """Whether a column stays text even where every value looks like a number or all are missing: names, paths, and what
    became of microbleeds and candidates."""
    return column in (
        *("resolution", "scanner", "group", "role", "region", "side", "next_region", "change"),
        *REVIEW_WORDS,
        *VOLUMES,
    ) or column.endswith(("_id", "_stage1", "_stage2", "_overall"))


def unit_of(column: str) -> str:
    """The unit of a column's numbers; empty where they have none."""
    units = {"_mm": "mm", "_ms": "ms", "seconds": "s", **dict.fromkeys(BOX, "px")}
    return next((unit for ending, unit in units.items() if column.endswith(ending)), "")


# --- tables ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Table:
    """A table.

    Attributes
    ----------
    columns : mapping of str to str
        In order; what each is, in a sentence without its unit.
    needed : tuple of str
        Those without which it cannot be read.
    """

    columns: Mapping[str, str]
    needed: tuple[str, ...] = ()

    @property
    def names(self) -> list[str]:
        """Of all columns that it may have, in order."""
        return list(self.columns)

    def described(self) -> dict[str, str]:
        """The sentences with their units, for the provenance."""
        units = {name: f" [{unit}]" if (unit := unit_of(name)) else "" for name in self.columns}
        return {name: (said + units[name]).lstrip() for name, said in self.columns.items()}


_SUBJECT = {"participant_id": "Subject"}
_ON_CANONICAL = "Voxel, 0-based, closest canonical axes: grows to "
_IN_WORLD = {"x_mm": "World position of the voxel's centre", "y_mm": "", "z_mm": ""}

PARTICIPANTS = Table(
    {
        "participant_id": "Subject: sub- and letters or digits, with _ses- and more of them for a session",
        "person_id": "Who it is; subjects of one person are never trained and tested on",
        "session_id": "When this person was scanned",
        "resolution": "HR, LR or any name; subjects of one resolution share a detector",
        "scanner": "Label of the scanner; folds are balanced in it",
        "group": "patient or control (healthy, without microbleeds, never trained on)",
        "read": "Whether somebody has looked for microbleeds: yes or no; n/a: if it has marks or is a control's",
        "magnitude": "Path relative to the study",
        "phase": "Path relative to the study",
        "swi": "Path relative to the study; n/a: made by `cmbtk preprocess`",
        "mask": "Path of a brain mask relative to the study; n/a: made by `cmbtk preprocess`",
        "echo_time_ms": "Echo time",
        "phase_sign": "1: the file's phase is paramagnetic positive; -1: negative; n/a: unknown, taken as 1",
        "phase_range": "n/a: recognised; radians; or the file's units that one full cycle spans",
        "real": "Path of the real part relative to the study, with imaginary in place of magnitude and phase",
        "imaginary": "Path of the imaginary part relative to the study",
        "echo": "Which volume of 4-D files, counted from 1",
        "phase_volume": "The same of the phase alone, where it lies in another volume than the magnitude",
    },
    ("participant_id", "resolution", "scanner", "group"),
)

SIMULATED_PARTICIPANTS = Table(
    {
        **_SUBJECT,
        "resolution": "Protocol: HR, LR, slab, slab-lr or tiny",
        "scanner": "Simulated scanner; they differ in noise, non-uniformity, sign and storage of the phase, axis order",
        "group": "patient (has microbleeds) or control",
        "magnitude": "Path relative to the study",
        "phase": "Path relative to the study",
        "swi": "Not simulated",
        "mask": "None: `cmbtk preprocess` makes it",
        "echo_time_ms": "Echo time",
        "phase_sign": "1: the file's phase is paramagnetic positive; -1: negative",
        "phase_range": "n/a: to be recognised by `cmbtk preprocess`",
        "microbleeds": "How many the subject has",
    }
)

MICROBLEEDS = Table(
    {
        **_SUBJECT,
        "i": f"{_ON_CANONICAL}the patient's right",
        "j": "grows to anterior",
        "k": "Slice; grows to superior",
        **_IN_WORLD,
    },
    ("participant_id", *VOXEL, *WORLD),
)

SIMULATED_MICROBLEEDS = Table(
    {
        **_SUBJECT,
        "i": f"{_ON_CANONICAL}the right",
        "j": "grows to anterior",
        "k": "Slice on which the microbleed shows best; grows to superior",
        **_IN_WORLD,
        "diameter_mm": "Apparent diameter on that slice",
        "contrast": "Largest relative loss of magnitude",
        "snr": "Matched-filter signal to noise of the loss",
        "region": "lobar, deep or infratentorial",
    }
)

FOLDS = Table(
    {
        "fold": "Number of the fold, from 1, or scanner- and the scanner that is trained on",
        **_SUBJECT,
        "role": "train, validation, test, control (healthy; in every fold alike) or excluded (neither learned from nor "
        "tested)",
    },
    ("fold", "participant_id", "role"),
)

_PLACED = {
    **_SUBJECT,
    "role": "Of the subject in the cell's fold",
    "i": "Voxel, 0-based, closest canonical axes, perhaps between two",
    "j": "likewise",
    "k": "Slice",
    "x_mm": "World position",
    "y_mm": "",
    "z_mm": "",
    "left": "Corners on the network image, from 0, half open",
    "top": "",
    "right": "",
    "bottom": "",
    "confidence": "Of the detector, 0 to 1; of frst how symmetric it is, which may exceed 1",
}

DETECTIONS = Table({"candidate_id": "Candidate that the box belongs to", **_PLACED}, ("candidate_id", *_PLACED))

CANDIDATES = Table(
    {
        "candidate_id": "Its name",
        **_PLACED,
        "boxes": "Of how many boxes it was put together",
        "first_k": "Lowest slice with one",
        "last_k": "Highest slice with one",
    },
    ("candidate_id", "role", *PLACE),
)

PATCHES = Table(
    {
        "candidate_id": "Of the candidate, or a name made for a mark",
        **_SUBJECT,
        "role": "Of the subject in the cell's fold",
        "k": "Slice of the middle",
        "i": "Of the middle",
        "j": "Of the middle",
        "label": "1 microbleed, 0 not, n/a where neither is to be learned",
        "origin": "candidate (from stage 1), microbleed (a reader's mark) or reviewed (of a reviewed scan); the last "
        "two for training only",
    },
    ("candidate_id", "participant_id", "role", "k", "i", "j", "label", "origin"),
)

FINDINGS = Table(
    {
        **CANDIDATES.columns,
        "network_probability": "Of being a microbleed, by stage 2 alone",
        "probability": "What decides: by default both stages'",
        "kept": "Whether it is as probable as the threshold or more",
    },
    ("candidate_id", "participant_id", "role", *WORLD, "confidence", "probability", "kept"),
)

EXPORTED = Table(
    {
        "id": "Of the finding in this scan: 1 is the most probable. In a label map the value of its voxels",
        "candidate_id": "What it is called in the study",
        "x_mm": "World position, RAS: grows to the patient's right",
        "y_mm": "grows to anterior",
        "z_mm": "grows to superior",
        "confidence": "Of stage 1",
        "probability": "Of being a microbleed, 0 to 1; what decided",
        "kept": "Whether stage 2 kept it",
    }
)

LESIONS = Table(
    {
        "id": "Of the candidate in this scan: 1 is the most probable. In the label map the value of its voxels",
        "x_mm": "World position, RAS: grows to the patient's right",
        "y_mm": "grows to anterior",
        "z_mm": "grows to superior",
        "i": "Voxel that holds it, from 0, along the file's own axes",
        "j": "",
        "k": "",
        "slice": "From 1, as viewers count it",
        "diameter_mm": "Of a circle as large as the dark region in its darkest slice; n/a where it is none or long",
        "volume_mm3": "Of the dark region [mm3]",
        "dipole": "How like a paramagnetic source's field the phase around is: 1 as of blood, -1 as of calcium; n/a "
        "where the sign of the phase is not sure",
        "confidence": "Of stage 1",
        "network_probability": "Of being a microbleed, by stage 2 alone",
        "score": "What decides: by default both stages'",
        "probability": "Of being a microbleed, by the model's validation subjects; n/a where these were too few",
        "kept": "Whether the score reaches the threshold",
        "flags": "What to look at",
    },
    ("id", *WORLD, "confidence", "score", "kept"),
)

PLACED = Table(
    {
        "region": "Which of the thirteen of MARS, by the place on the MNI152 brain; n/a where that is not known",
        "group": "lobar, deep or infratentorial: the region's",
        "side": "left, right, or midline (within 3 mm of it)",
        "next_region": "The next nearest region",
        "next_mm": "How much farther away it is; n/a beyond 10 mm",
        "border": "Whether that is less than 3 mm, so that it may as well be the lesion's",
        "mni_x_mm": "Place on the MNI152 brain, RAS",
        "mni_y_mm": "",
        "mni_z_mm": "",
    }
)
"""What `cmbtk detect --regions` adds to the table of lesions."""

CHANGED = Table(
    {
        "change": "Of a finding: new, unchanged (within 3 mm of one of the earlier scan), or unseen (outside the "
        "earlier scan's brain)",
        "earlier_id": "Of the finding that it was in the earlier scan",
        "earlier_probability": "Of the likeliest candidate at its place in the earlier scan, kept or not",
    }
)
"""What `cmbtk detect --prior` adds to the table of lesions."""

GONE = Table(
    {
        "id": "Of the finding in the earlier scan",
        "change": "gone, or unseen now: outside this scan's brain",
        "x_mm": "Where it would lie in this scan",
        "y_mm": "",
        "z_mm": "",
        "diameter_mm": "Then",
        "probability": "Then",
        "probability_now": "Of the likeliest candidate at its place in this scan, not kept; n/a where there is none",
    }
)
"""Findings of an earlier scan that are none in the later."""

FOUND = Table(
    {
        "candidate_id": "Its name",
        **_SUBJECT,
        "role": "test: of nobody that the model learned from, as far as that is known",
        **{name: LESIONS.columns[name] for name in ("id", *WORLD, "confidence", "network_probability", "score")},
        "probability": "As in the scan's own table; the score where there is none",
        "kept": "Whether the score reaches the threshold",
    },
    ("candidate_id", "participant_id", *WORLD, "confidence", "probability", "kept"),
)

ASKED = Table(
    {
        **_SUBJECT,
        "id": "Of the finding in this scan, the value of its voxels in the label map; of a scan without findings none",
        "verdict": "For the reader to fill in: yes, no or unsure; n/a: nothing is said",
        "mimic": "What it is instead, where it is none",
        "reader": "Who says so, by a name of his own choice",
        "comment": "Anything",
        **{name: LESIONS.columns[name] for name in (*WORLD, "slice", "diameter_mm", "probability", "flags")},
        "region": "Where it is in the brain; n/a without --regions of `cmbtk detect`",
    },
    ("participant_id", "id", *WORLD),
)

ROUND = Table(
    {
        **_SUBJECT,
        "id": "Of the finding; what readers added has numbers of its own after those; 0: the scan as a whole",
        "reader": "Who says so",
        "verdict": "yes, no or unsure",
        "mimic": "What it is instead: vein, calcification, sulcus, artefact, mineral, cavernoma, haemorrhage, other",
        "x_mm": "Where the reader puts it, RAS",
        "y_mm": "",
        "z_mm": "",
        "moved_mm": "How far that is from where it was",
        "added": "Whether a reader added it: yes or no",
        "comment": "Of the reader",
    },
    ("participant_id", "id", "reader", "verdict", *WORLD, "added"),
)

AGREED = Table(
    {
        **_SUBJECT,
        "id": "Of the finding, or of what a reader added",
        "verdict": "Of more than half of the readers, else unsure; n/a: of nobody",
        "mimic": "What most of those who say no take it for",
        "x_mm": "World position, RAS; where most of those who say yes moved it",
        "y_mm": "",
        "z_mm": "",
        "added": "Whether a reader added it: yes or no",
        "yes": "How many readers say so; of what one added, the others who read the scan say no",
        "no": "likewise",
        "unsure": "likewise",
    },
    ("participant_id", "id", "verdict", *WORLD, "added"),
)

REVIEWED = Table(
    {
        **_SUBJECT,
        "reviewed": "yes: somebody has a verdict on every finding, so that what nobody marked counts as none; else no",
        "findings": "Handed out",
        "judged": "Of these, with a verdict",
        "yes": "Microbleeds among them",
        "no": "Others",
        "unsure": "Neither",
        "new": "Microbleeds that readers added",
        "readers": "Number",
    },
    ("participant_id", "reviewed"),
)

LOOKED_AT = Table(
    {
        **_SUBJECT,
        "range": "green, amber or red: whether the scan is like those that the model learned from; n/a: not looked at",
        "findings": "Number",
        "best": "Probability of the likeliest candidate, kept or not; its score where the model has no calibration",
        "candidates": "Before stage 2",
        "brain_ml": "Volume of the brain mask [ml]",
        "slices": "Number",
        "voxel_mm": "Size of a voxel",
        "learned_from": "Whether the model has learned from this very scan",
        "lobar": "Findings in lobar regions; only with --regions, n/a where they are not known",
        "deep": "likewise",
        "infratentorial": "likewise",
        "reasons": "Why it is not green, or why it was not looked at",
    }
)

YOLO_HISTORY = Table(
    {
        "iteration": "From 1",
        "loss": "Of its batch; those of different engines need not be comparable",
        "avg_loss": "Running mean",
        "rate": "Of learning",
        "images": "Learned from up to then",
        "seconds": "Since the training began",
        "engine": "Which one did it",
    }
)

YOLO_WATCH = Table(
    {
        "iteration": "After which the network was looked at",
        "role": "validation; or train, for comparison: what of the subjects that were learned from is found",
        "subjects": "Scans looked at, all slices of each",
        "slices": "Images looked at",
        "microbleeds": "Marked in these scans",
        **{
            f"found_{budget}": f"Microbleeds found (a candidate within 3 mm) at the lowest confidence that leaves at "
            f"most {budget} false positives a subject"
            for budget in (20, 50, 100)
        },
        "error_mm": "Root mean square distance from candidate to mark of those found at 100",
        "error_in_plane_mm": "The same within the slice",
        "best": "Whether this look at the validation subjects was the best so far",
    }
)

CNN_HISTORY = Table(
    {
        "epoch": "From 1",
        "loss": "Of the training patches",
        "val_loss": "Of the validation subjects' patches",
        "val_auc": "Of these, 0 to 1",
        "val_spread": "How far apart their outputs lie",
        "best": "Whether it was the best epoch so far",
    }
)

_COUNTED = {
    "rule": "in words in metrics.json",
    "role": "test, control, ...",
    "stage": "stage1: all candidates; stage2: stage 2 by itself; overall: what stage 2 kept, against all microbleeds",
}
_HITS = {
    "tp": "hits",
    "fp": "false positives",
    "duplicates": "further candidates at a microbleed, under rules that count them apart",
}

EVALUATION: Mapping[str, Table] = {
    "subjects.tsv": Table(
        {
            **_COUNTED,
            "microbleeds": "of the subject; for stage2 those that stage 1 found",
            "candidates": "counted; for stage2 those that it was given",
            **_HITS,
            "fn": "missed microbleeds",
        }
    ),
    "microbleeds.tsv": Table({"<rule>_<stage>": "candidate_id of the hit, n/a where missed"}),
    "candidates.tsv": Table(
        {
            "<rule>_<stage>": "tp, fp, duplicate, or merged (another box of its lesion stands for it); n/a where stage "
            "2 threw it out",
            "lesion": "boxes with the same number count as one (--count per-lesion)",
            "nature": "simulated scans: the nearest thing within 3 mm, else edge (rim of the brain mask within 2 mm), "
            "else other",
        }
    ),
    "froc.tsv": Table(
        {
            **_COUNTED,
            "threshold": "candidates with at least this confidence (stage1) or probability (overall)",
            "sensitivity": "0..1, of all microbleeds",
            "fp_per_subject": "over all subjects of the role",
            **_HITS,
        }
    ),
    "strata.tsv": Table(
        {
            "rule, role, stage": "as above",
            "by": "diameter_mm, contrast, region (of microbleeds) or nature (of false positives)",
            "stratum": "a value equal to a limit belongs to the upper stratum",
            "microbleeds": "in the stratum",
            "found": "of these",
            "false_positives": "of this nature",
        }
    ),
}
"""What `cmbtk evaluate` adds to the tables that it read, file by file."""

RESULTS = Table(
    {
        "fold": "name, or all",
        "microbleeds": "of the test subjects; in stage2 those that stage 1 found",
        "sensitivity, precision, f1": "0..1 (paper, equations 3 to 5)",
        "fp_per_subject": "false positives per test subject (equation 6)",
        "..._low, ..._high": "95 % interval, bootstrap over persons tested",
        "duplicates": "further candidates at a microbleed, neither hits nor false positives, if the rule counts them "
        "apart",
        "controls": "scans of healthy controls, each once per fold",
        "specificity": "of stage 2 over the controls' candidates (the paper's table 7)",
    }
)
"""Of `cmbtk tables`."""
