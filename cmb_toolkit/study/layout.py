"""Where everything lies in a study folder. No other module builds these paths.

::

    study/
      study.toml participants.tsv microbleeds.tsv folds.tsv dataset_description.json
      sub-001/              preprocessed volumes and mask (BIDS-derivative names)
      slices/<input>/       network images and labels to train on, shared by all folds
      cells/<cell>/         one (resolution, input, fold): detector, classifier, their tables
      tables/ figures/ report/ logs/
      scratch/<cell>/       checkpoints; may be deleted at any time
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from ..errors import MissingError, UsageError
from ..io.files import load_toml
from ..io.publish import write_text
from ..names import CELL, FOLD, INPUT, RESOLUTION, SUBJECT
from ..paths import from_here

__all__ = ["Cell", "Study", "cell_name"]


def cell_name(resolution: str, input_name: str, fold: str, repeat: int = 1) -> str:
    """Name of a cell's folder.

    Raises
    ------
    DataError
        If one of the names cannot stand in a path.
    """
    names = f"{RESOLUTION.check(resolution)}_{INPUT.check(input_name)}_fold-{FOLD.check(fold)}"
    return CELL.check(names + (f"_repeat-{repeat}" if repeat > 1 else ""))


@dataclass(frozen=True)
class Cell:
    """One (resolution, input, fold) of a study: its folder and the files in it."""

    folder: Path
    scratch: Path

    @property
    def name(self) -> str:
        return self.folder.name

    @property
    def setup(self) -> Path:
        """What the cell is: method, input, resolutions, fold, roles."""
        return self.folder / "cell.json"

    @property
    def project(self) -> Path:
        """The self-contained Darknet project folder."""
        return self.folder / "darknet"

    @property
    def weights(self) -> Path:
        return self.folder / "yolo.weights"

    @property
    def yolo_history(self) -> Path:
        return self.folder / "yolo_history.tsv"

    @property
    def yolo_watch(self) -> Path:
        """What the detector found of validation and training subjects while it learned."""
        return self.folder / "yolo_watch.tsv"

    @property
    def yolo_loss(self) -> Path:
        """Plot of the history and of what was found."""
        return self.folder / "yolo_loss.png"

    @property
    def training(self) -> Path:
        """State of an unfinished training of the detector: checkpoints, history, where Darknet works."""
        return self.scratch / "training"

    @property
    def training_lock(self) -> Path:
        return self.scratch / "training.lock"

    @property
    def live_loss(self) -> Path:
        """Plot of an unfinished training, drawn anew at each checkpoint."""
        return self.training / "loss.png"

    @property
    def detecting(self) -> Path:
        """Where a Darknet is given images to look at."""
        return self.scratch / "detecting"

    @property
    def detections(self) -> Path:
        """Boxes on network images, as the engine gave them after our threshold and NMS."""
        return self.folder / "detections.tsv"

    @property
    def candidates(self) -> Path:
        """Boxes put back on the subjects' voxel grids, with their role (train, validation, test)."""
        return self.folder / "candidates.tsv"

    @property
    def network(self) -> Path:
        """The network of a method of stage 1 that learns and finds with one command."""
        return self.folder / "network.npz"

    @property
    def network_loss(self) -> Path:
        """Picture of how it learned."""
        return self.folder / "network_loss.png"

    def found(self, subject: str) -> Path:
        """What that network found in a subject."""
        return self.folder / "found" / f"{SUBJECT.check(subject)}.tsv"

    @property
    def patches(self) -> Path:
        """Folder of patches.npy (n, 16, 32, 16), SWI beside phase, and its table patches.tsv: published as one."""
        return self.folder / "patches"

    @property
    def cnn(self) -> Path:
        return self.folder / "cnn.keras"

    @property
    def cnn_history(self) -> Path:
        return self.folder / "cnn_history.tsv"

    @property
    def cnn_loss(self) -> Path:
        """Plot of the history."""
        return self.folder / "cnn_loss.png"

    @property
    def findings(self) -> Path:
        """Candidates with their probability and verdict."""
        return self.folder / "findings.tsv"

    @property
    def evaluation(self) -> Path:
        """What `cmbtk evaluate` makes, published whole: metrics.json, tables and pictures."""
        return self.folder / "evaluation"

    @property
    def metrics(self) -> Path:
        return self.evaluation / "metrics.json"

    @property
    def figures(self) -> Path:
        return self.folder / "figures"


@dataclass(frozen=True)
class Study:
    """A study folder."""

    root: Path

    @classmethod
    def open(cls, root: Path) -> Study:
        """An existing study.

        Raises
        ------
        MissingError
            If the folder is not one; a foreign folder is never written to.
        """
        study = cls(root)
        if not study.settings.is_file():
            raise MissingError(
                f"{root}: not a study folder (no study.toml). Make one with `cmbtk simulate` or `cmbtk import`, "
                "or check the path."
            )
        return study

    @classmethod
    def create(cls, root: Path, name: str) -> Study:
        """A new study, or the same one again.

        Raises
        ------
        UsageError
            If the folder holds files but is no study.
        """
        study = cls(root)
        if not study.settings.is_file():
            if root.exists() and (not root.is_dir() or any(p for p in root.iterdir() if not p.name.startswith("."))):
                raise UsageError(f"{root}: exists and is not a study folder. Choose a new or empty folder.")
            quoted = json.dumps(name, ensure_ascii=False)  # a JSON string is a TOML string
            write_text(study.settings, f"# A cmb_toolkit study; docs/study.md says what lies where.\nname = {quoted}\n")
        return study

    @property
    def name(self) -> str:
        """The study's name in study.toml, by default its folder's.

        Raises
        ------
        DataError
            If study.toml is not TOML.
        """
        content = load_toml(self.settings, "Correct it, or write one line: name = 'x'.")
        return str(content.get("name", self.root.name))

    @property
    def settings(self) -> Path:
        return self.root / "study.toml"

    @property
    def participants(self) -> Path:
        """participant_id, resolution, scanner, group, magnitude, phase [, swi, mask, echo_time_ms, ...]; paths
        relative to the study folder (or absolute)."""
        return self.root / "participants.tsv"

    @property
    def microbleeds(self) -> Path:
        """participant_id, i, j, k (0-based, canonical axes), x_mm, y_mm, z_mm [, what the truth knows]."""
        return self.root / "microbleeds.tsv"

    @property
    def folds(self) -> Path:
        """fold, participant_id, role (train, validation, test)."""
        return self.root / "folds.tsv"

    @property
    def description(self) -> Path:
        return self.root / "dataset_description.json"

    @property
    def scans(self) -> Path:
        """Where simulated scans are written (magnitude and phase per subject); other scans stay where they are."""
        return self.root / "scans"

    def simulated_truth(self, subject: str) -> Path:
        """All that is in a simulated scan: microbleeds and what looks like one."""
        return self.simulated(subject) / f"{subject}_truth.json"

    def simulated(self, subject: str) -> Path:
        """Folder of a subject's simulated scan."""
        return self.scans / SUBJECT.check(subject)

    def subject(self, subject: str) -> Path:
        """Folder of a subject's preprocessed volumes.

        Raises
        ------
        DataError
            If the name could lead out of the study; so do all that build paths of names.
        """
        return self.root / SUBJECT.check(subject)

    def magnitude(self, subject: str) -> Path:
        return self.subject(subject) / f"{subject}_part-mag_desc-preproc_T2starw.nii.gz"

    def phase(self, subject: str) -> Path:
        """High-passed phase in radians, paramagnetic positive, 0 outside the brain."""
        return self.subject(subject) / f"{subject}_part-phase_desc-highpass_T2starw.nii.gz"

    def phase_step(self, subject: str, step: str) -> Path:
        """What lies between the scanner's phase and the filtered one (wrapped, unwrapped) or the SWI (phasemask)."""
        return self.subject(subject) / f"{subject}_part-phase_desc-{step}_T2starw.nii.gz"

    def swi(self, subject: str) -> Path:
        return self.subject(subject) / f"{subject}_desc-preproc_swi.nii.gz"

    def minip(self, subject: str) -> Path:
        """Minimum-intensity projection of the SWI over neighbouring slices."""
        return self.subject(subject) / f"{subject}_desc-preproc_minIP.nii.gz"

    def mask(self, subject: str) -> Path:
        return self.subject(subject) / f"{subject}_desc-brain_mask.nii.gz"

    def slices(self, input_name: str) -> Path:
        return self.root / "slices" / INPUT.check(input_name)

    def subject_slices(self, input_name: str, subject: str) -> Path:
        """Folder of a subject's network images."""
        return self.slices(input_name) / SUBJECT.check(subject)

    def volume(self, subject: str, name: str) -> Path:
        """A subject's ``magnitude``, ``phase`` or ``swi``."""
        return {"magnitude": self.magnitude, "phase": self.phase, "swi": self.swi}[name](subject)

    def found(self, method: str, subject: str) -> Path:
        """What a method that learns nothing found in a subject, shared by all folds; else see :meth:`Cell.found`."""
        return self.slices(method) / f"{SUBJECT.check(subject)}.tsv"

    def cell(self, resolution: str, input_name: str, fold: str, repeat: int = 1) -> Cell:
        """The cell of a (resolution, input, fold), for example ``HR_swi+cphase-averaged_fold-1``; trained again with
        another seed, ``HR_swi+cphase-averaged_fold-1_repeat-2``."""
        return self.cell_named(cell_name(resolution, input_name, fold, repeat))

    def cell_named(self, name: str) -> Cell:
        return Cell(self.root / "cells" / CELL.check(name), self.root / "scratch" / name)

    def cells(self) -> list[Cell]:
        """The cells that are there, by name; what other programs left beside them is passed over."""
        folders = sorted((self.root / "cells").glob("*"))
        return [self.cell_named(path.name) for path in folders if CELL.fits(path.name) and path.is_dir()]

    @classmethod
    def of_cell(cls, folder: Path) -> tuple[Study, Cell]:
        """Study and cell that a cell's folder belongs to, so that later steps need only the cell.

        Raises
        ------
        MissingError
            If the folder is not ``<study>/cells/<cell>``.
        """
        folder = folder.absolute()
        if not folder.is_dir() or folder.parent.name != "cells":
            raise MissingError(
                f"{from_here(folder)}: not a cell of a study (expected STUDY/cells/NAME). "
                "`cmbtk prepare-yolo` makes it and prints its path."
            )
        study = cls.open(from_here(folder.parent.parent))
        return study, study.cell_named(folder.name)

    def log(self, cell: str, step: str) -> Path:
        return self.root / "logs" / CELL.check(cell) / f"{step}.log"

    @property
    def experiment(self) -> Path:
        """Settings of the experiment that was run last, and the options of its jobs that follow from them."""
        return self.root / "experiment.json"

    @property
    def experiment_lock(self) -> Path:
        return self.root / "scratch" / "experiment" / "lock"

    @property
    def tables(self) -> Path:
        return self.root / "tables"

    @property
    def mark_pictures(self) -> Path:
        """Every mark on its slice, as `cmbtk check --pictures` draws them."""
        return self.figures / "marks.png"

    @property
    def figures(self) -> Path:
        return self.root / "figures"

    @property
    def report(self) -> Path:
        """What `cmbtk experiment report` makes, published whole: index.html, tables and figures of the paper."""
        return self.root / "report"
