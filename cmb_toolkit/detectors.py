"""The methods of stage 1, by name: which commands find candidates by each.

A method that looks at clean scans is a class with what :class:`cmb_toolkit.methods.base.Finder` says, or, where it
learns from marked ones first, what :class:`cmb_toolkit.methods.base.Learner` says, in a file of its own, and a line
here: its command, its place in the experiment and in the report follow.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["DETECTORS", "Detector", "finders", "method_of"]


@dataclass(frozen=True)
class Detector:
    """A method of stage 1.

    Attributes
    ----------
    steps : tuple of str
        Commands that lead to candidates, in order: the first makes a cell, the last writes its candidates.
    words : str
        What it does, in a line.
    finder : str
        Where its class is, ``module:name``; empty where it has steps of its own.
    learns : bool
        Whether it learns from the training subjects, so that its scores are probabilities.
    """

    steps: tuple[str, ...]
    words: str
    finder: str = ""
    learns: bool = False

    @property
    def command(self) -> str:
        """The command that makes a cell of it."""
        return self.steps[0]

    @property
    def finds(self) -> str:
        """The command that writes its candidates."""
        return self.steps[-1]


DETECTORS: dict[str, Detector] = {
    "yolo": Detector(
        ("prepare-yolo", "stage1-train", "stage1-detect"), "A YOLOv2 network on every slice.", learns=True
    ),
    "frst": Detector(
        ("frst",), "Find candidates without a detector: what is round and dark.", "cmb_toolkit.methods.frst:Frst"
    ),
    "heatmap": Detector(
        ("heatmap",),
        "Train one 3D network on SWI and phase, beyond the paper, and find candidates with it.",
        "cmb_toolkit.methods.heatmap:Heatmap",
        learns=True,
    ),
}
"""Name of a method -> what it is."""


def finders() -> dict[str, str]:
    """Command -> method, of those that one command does."""
    return {detector.command: method for method, detector in DETECTORS.items() if detector.finder}


def method_of(input_name: str) -> str:
    """The method of cells with this input: of a method without images its own name stands there."""
    return input_name if input_name in DETECTORS else next(iter(DETECTORS))
