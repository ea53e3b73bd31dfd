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
    network : str
        One of :data:`cmb_toolkit.classifiers.CLASSIFIERS` that belongs to it as its second stage: what stage 2 of its
        cells takes where nothing is asked for, and by which alone it decides.
    alone : bool
        Whether no second stage belongs to it.
    search : str
        Where the class is of what can be chosen of where it looks, ``module:name``, if not the usual one's.
    found_by : str
        The method that sees the same in a subject and whose tables it shares; empty where that is itself.
    openvino : bool
        Whether OpenVINO can look in the place of Keras once it has learned.
    hours : float
        Of one training on two processors with the defaults, measured; 0 of what learns nothing, and of YOLO, whose
        networks say it.
    """

    steps: tuple[str, ...]
    words: str
    finder: str = ""
    learns: bool = False
    network: str = ""
    alone: bool = False
    search: str = ""
    found_by: str = ""
    openvino: bool = False
    hours: float = 0.0

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
        openvino=True,
        hours=0.3,
    ),
    "dou": Detector(
        ("dou",),
        "Dou 2016: train a 3D network that screens the brain, and find candidates with it for a 3D-CNN.",
        "cmb_toolkit.methods.dou:Dou",
        learns=True,
        network="dou",
        search="cmb_toolkit.stage1.earlier:DouSearch",
        hours=0.1,
    ),
    "kuijf": Detector(
        ("kuijf",),
        "Kuijf 2012: 3D fast radial symmetry alone, at few false positives.",
        "cmb_toolkit.methods.frst:Frst",
        alone=True,
        search="cmb_toolkit.stage1.earlier:KuijfSearch",
        found_by="frst",
    ),
    "liu": Detector(
        ("liu",),
        "Liu 2019: candidates by 3D fast radial symmetry, for a 3D-ResNet on SWI and phase.",
        "cmb_toolkit.methods.frst:Frst",
        network="liu",
        search="cmb_toolkit.stage1.earlier:LiuSearch",
        found_by="frst",
    ),
    "chen": Detector(
        ("chen",),
        "Chen 2019: candidates by 2D fast radial symmetry, for a 3D-ResNet on SWI.",
        "cmb_toolkit.methods.frst:PlanarFrst",
        network="chen",
        search="cmb_toolkit.stage1.earlier:ChenSearch",
    ),
    "wang": Detector(
        ("wang",),
        "Wang 2019: train a 2D-DenseNet on windows of slices, and find candidates with it.",
        "cmb_toolkit.methods.sliding:Wang",
        learns=True,
        alone=True,
        search="cmb_toolkit.stage1.earlier:WangSearch",
    ),
    "hong": Detector(
        ("hong",),
        "Hong 2019: train a 2D-ResNet on windows of slices, and find candidates with it.",
        "cmb_toolkit.methods.sliding:Hong",
        learns=True,
        alone=True,
        search="cmb_toolkit.stage1.earlier:HongSearch",
    ),
}
"""Name of a method -> what it is."""


def finders() -> dict[str, str]:
    """Command -> method, of those that one command does."""
    return {detector.command: method for method, detector in DETECTORS.items() if detector.finder}


def method_of(input_name: str) -> str:
    """The method of cells with this input: of a method without images its own name stands there."""
    return input_name if input_name in DETECTORS else next(iter(DETECTORS))
