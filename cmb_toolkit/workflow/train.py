"""From clean scans to a model: cross-validation, a last training on everybody, and the model's files.

Every step is the command of its name and says by itself whether it is done, so that the same call goes on after
anything.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from ..bundle.content import Content
from ..bundle.files import opened
from ..darknet.cfg import Cfg, parse_cfg
from ..darknet.network_file import network_text
from ..darknet.recipe import Detecting, DetectorTraining, Preparing
from ..detectors import DETECTORS
from ..device import on_gpu
from ..errors import MissingError, UsageError
from ..evaluation.recipe import Folding
from ..machine import cores
from ..model import IMAGE_SIZE
from ..recipe import declared
from ..registry import load
from ..stage1.recipe import search_of
from ..stage2.recipe import ClassifierTraining
from ..steps.evaluate import evaluate
from ..steps.find import find
from ..steps.model import check_output, make
from ..steps.prepare_yolo import prepare_yolo
from ..steps.split import split
from ..steps.stage1_detect import stage1_detect
from ..steps.stage1_train import stage1_train
from ..steps.stage2_classify import stage2_classify
from ..steps.stage2_crop import stage2_crop
from ..steps.stage2_train import stage2_train
from ..study.cohort import ALL_FOLD, choose_resolution, read_folds, read_participants
from ..study.layout import Cell, Study
from ..study.made_from import prepared_with
from .naming import named
from .recipe import Naming, Training

__all__ = ["Plan", "Reporter", "plan", "silent", "train"]

_FLOPS = {False: 2e10, True: 7e12}
"""What the embedded engine does in a second: on a core of a CPU, and on a GPU (an H100)."""

_FURTHER = 1.3
"""Time of all other steps, as a factor."""


@dataclass(frozen=True)
class Plan:
    """What will be done.

    Attributes
    ----------
    detector : str
        What finds the candidates, for people.
    preset : str
        Of yolo; empty of another method.
    folds : tuple of str
        Which are trained and tested.
    last : bool
        Whether a last training on everybody follows.
    patients, controls : int
    seconds : float
        Roughly, from the beginning.
    """

    detector: str
    preset: str
    folds: tuple[str, ...]
    last: bool
    patients: int
    controls: int
    seconds: float


def plan(study_folder: Path, recipe: Training) -> Plan:
    """Say what a training will do; folds are made where there are none.

    Raises
    ------
    UsageError, MissingError, DataError
    """
    study = Study.open(study_folder)
    participants = read_participants(study)
    resolution = choose_resolution(participants, recipe.resolution)
    mine = participants[participants["resolution"].astype(str) == resolution]
    raw = [subject for subject in mine["participant_id"] if not study.swi(subject).is_file()]
    if raw:
        raise MissingError(
            f"{study_folder}: {len(raw)} of {len(mine)} subjects are not preprocessed, {raw[0]} for example. Run "
            f"`cmbtk preprocess` on this study first."
        )
    if not study.folds.is_file():
        split(study_folder, Folding(folds=recipe.folds, seed=recipe.seed), on_progress=lambda *_: None)
    table = read_folds(study)
    table = table[table["participant_id"].isin(mine["participant_id"]) & (table["role"] == "test")]
    names = [str(name) for name in dict.fromkeys(table["fold"]) if not str(name).startswith("scanner")]
    if not names:
        raise UsageError(f"{study.folds}: no fold has a test subject of {resolution}. Run `cmbtk split` again.")
    folds = tuple(names[:1] if recipe.quick else names)
    method = DETECTORS[recipe.method]
    if method.finder:
        if recipe.preset != "auto" or recipe.max_batches is not None:
            given = "preset" if recipe.preset != "auto" else "max-batches"
            raise UsageError(f"--{given} is of yolo, and --method {recipe.method} has no such thing. Leave it out.")
        detector, preset, seconds = f"method {recipe.method}", "", 3600 * method.hours
    else:
        preset = recipe.preset if recipe.preset != "auto" else "yolov2-short" if on_gpu() else "medium"
        cfg = parse_cfg(network_text(preset, size=IMAGE_SIZE, max_batches=recipe.max_batches, net=_net(preset)))
        for fold in (*folds, *([] if recipe.quick else [ALL_FOLD])):
            _check_cell(study.cell(resolution, Preparing.input, fold), preset, recipe)
        detector, seconds = f"network {preset}", _seconds(cfg)
    trainings = len(folds) + (not recipe.quick)
    group = mine["group"]
    return Plan(
        detector,
        preset,
        folds,
        not recipe.quick,
        int((group == "patient").sum()),
        int((group == "control").sum()),
        trainings * _FURTHER * seconds,
    )


class Reporter(Protocol):
    """Is told how far a step is, and lines that stay."""

    def __call__(self, done: int, total: int, what: str) -> None: ...

    def note(self, text: str) -> None: ...


class _Silent:
    def __call__(self, done: int, total: int, what: str) -> None:
        pass

    def note(self, text: str) -> None:
        pass


@contextmanager
def silent(_title: str) -> Iterator[Reporter]:
    """Report to nobody."""
    yield _Silent()


def train(
    study_folder: Path,
    out: Path,
    recipe: Training | None = None,
    naming: Naming | None = None,
    *,
    jobs: int = 1,
    report: Callable[[str], AbstractContextManager[Reporter]] = silent,
) -> Content:
    """Train a model on the scans of a study.

    Each fold is trained and tested: thresholds and calibration come from all folds' validation subjects, figures from
    their test subjects, each looked at by networks that knew nothing of that person. Then a detector and a 3D-CNN are
    trained on everybody but the first fold's validation subjects, by whom their best state is chosen, and become the
    model.

    Parameters
    ----------
    study_folder : Path
        A study that is preprocessed.
    out : Path
        The model, a folder ``NAME.cmbtk``.
    recipe : Training, optional
    naming : Naming, optional
    jobs : int
        Worker processes of the steps that go subject by subject.
    report : callable
        Given the title of each step, gives a context whose value is told how far the step is.

    Returns
    -------
    Content
        What the model says of itself.

    Raises
    ------
    UsageError, MissingError, DataError, DarknetError, StorageError
        Among others a DataError if what was trained finds nothing of the validation subjects: no model is written.
    """
    recipe, naming = recipe or Training(), naming or Naming()
    check_output(out)
    what = plan(study_folder, recipe)
    cells = []
    for fold in what.folds:
        one = _One(study_folder, fold, what.preset, recipe, jobs, report)
        cell = one.networks()
        one.step("classify", stage2_classify, cell)
        one.step("evaluate", evaluate, cell)
        cells.append(cell)
    final = cells[0]
    if what.last:
        final = _One(study_folder, ALL_FOLD, what.preset, recipe, jobs, report).networks()
    make(final, cells, out, named(naming, out))
    with opened(out) as bundle:
        return bundle.content


@dataclass
class _One:
    """A training of both stages."""

    study: Path
    fold: str
    preset: str
    recipe: Training
    jobs: int
    report: Callable[[str], AbstractContextManager[Reporter]]
    said: set[str] = field(default_factory=set)

    def step(self, title: str, function: Callable[..., Path], *given: Any, notes: bool = True, **further: Any) -> Path:
        """Do a step, and say each of its notes once."""
        where = "all" if self.fold == ALL_FOLD else f"fold {self.fold}"
        with self.report(f"{where}, {title}") as reporter:

            def once(text: str) -> None:
                if text not in self.said:
                    self.said.add(text)
                    reporter.note(text)

            return function(*given, on_progress=reporter, **further, **({"on_note": once} if notes else {}))

    def networks(self) -> Path:
        """Train both networks; their cell."""
        recipe, jobs = self.recipe, self.jobs
        cell = self._found() if DETECTORS[recipe.method].finder else self._detected()
        self.step("patches", stage2_crop, cell, notes=False, jobs=jobs)
        self.step("stage 2 learns", stage2_train, cell, ClassifierTraining(epochs=recipe.epochs, seed=recipe.seed))
        return cell

    def _found(self) -> Path:
        """Candidates of a method that one command does; their cell."""
        recipe = self.recipe
        search = search_of(recipe.method)(fold=self.fold, resolution=recipe.resolution)
        finder = load(DETECTORS[recipe.method].finder)
        own = finder(**({"seed": recipe.seed} if "seed" in declared(finder) else {}))
        title = f"stage 1, {recipe.method}"
        return self.step(title, find, self.study, recipe.method, search, own, jobs=self.jobs).parent

    def _detected(self) -> Path:
        """Candidates of a detector on slices; their cell."""
        recipe = self.recipe
        asked = Preparing(
            fold=self.fold,
            resolutions=() if recipe.resolution is None else (recipe.resolution,),
            cfg=self.preset,
            max_batches=recipe.max_batches,
            net=_net(self.preset),
            augment=True if self.preset == "yolov2-short" else None,
            seed=recipe.seed,
        )
        cell = self.step("images", prepare_yolo, self.study, asked, notes=False, jobs=self.jobs)
        self.step("stage 1 learns", stage1_train, cell, DetectorTraining(seed=recipe.seed))
        self.step("stage 1 looks", stage1_detect, cell, Detecting())
        return cell


def _check_cell(cell: Cell, preset: str, recipe: Training) -> None:
    """Refuse to replace a detector that somebody has trained otherwise.

    Raises
    ------
    UsageError
    """
    was = prepared_with(cell) if cell.weights.is_file() else {}
    asked = {"cfg": preset, "max_batches": recipe.max_batches, "seed": recipe.seed, "net": _net(preset)}
    other = [name for name, value in asked.items() if name in was and was[name] != value]
    if other:
        raise UsageError(
            f"{cell.folder}: its detector was trained with {other[0]} {was[other[0]]}, and would be trained again with "
            f"{asked[other[0]]}. Ask for the same here, or remove this folder."
        )


def _net(preset: str) -> dict[str, str]:
    """A batch that is best on a GPU, of the preset that is for one."""
    return {"batch": "16"} if preset == "yolov2-short" else {}


def _seconds(cfg: Cfg) -> float:
    """Of one training of both stages, roughly; learning from an image takes three times what looking at it does."""
    gpu = on_gpu()
    rate = _FLOPS[gpu] * (1 if gpu else cores())
    return 3 * cfg.training_flops * cfg.net.max_batches * cfg.net.batch / rate
