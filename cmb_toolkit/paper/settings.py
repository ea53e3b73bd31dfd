"""The settings of an experiment: one TOML file, checked strictly.

``experiment-paper.toml``, ``-released``, ``-demo`` and ``-demo-rivals`` come with the toolkit; a file of
one's own begins with ``base = "paper"`` and says only what is different.
"""

from __future__ import annotations

import copy
import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from ..detectors import finders
from ..errors import CmbError, DataError
from ..io.files import check_file, is_file, load_toml
from ..model import INPUTS
from ..names import FOLD, INPUT, QUEUE, RESOLUTION, SCANNER, nfc, shown
from ..recipe import Option, Parameter, Recipe, declared, option, parameter
from .options import OPTIONS
from .work import work

__all__ = ["DATA", "NAMES", "TABLES", "Settings", "load_settings", "settings_of"]

_FOLDER = Path(__file__).parents[1] / "cfg"
NAMES = ("paper", "released", "demo", "demo-rivals")
"""Settings that come with the toolkit."""

DATA = ("HR", "LR")
"""The paper's two resolutions."""

FRST = "frst"
"""The paper's rival in Table 9, one of :data:`cmb_toolkit.detectors.DETECTORS`."""

BOTH = "HR+LR"
"""The paper's Table 3: one detector for both."""

TABLES = tuple(range(2, 10))
"""Tables of the paper that cells are made for."""


_OR_EMPTY = replace(SCANNER, expected=f"{SCANNER.expected}, or empty", pattern=f"({SCANNER.pattern})?")


@dataclass(frozen=True)
class _Experiment(Recipe):
    """The table ``[experiment]``."""

    input: str = option(INPUTS[0], choices=INPUTS)
    fold: str = option("1", names=FOLD)
    scanner: str = option("", names=_OR_EMPTY)
    tables: tuple[int, ...] = option(TABLES, least=TABLES[0], most=TABLES[-1])
    rivals: tuple[str, ...] = option((), choices=finders().values())
    rival_folds: Literal["all", "first"] = option("all")
    best_fold: Literal["validation", "paper"] = option("validation")
    repeats: int = option(1, least=1)


@dataclass(frozen=True)
class _Job(Recipe):
    """The table ``[cluster]``, and those of steps within."""

    threads: int | None = option(None, least=1)
    memory_mb: int | None = option(None, name="memory-mb", least=1)
    minutes: int | None = option(None, least=1)
    partition: str | None = option(None, names=QUEUE)
    account: str | None = option(None, names=QUEUE)


@dataclass(frozen=True)
class _Top(Recipe):
    """What stands in no table."""

    base: str | None = option(None)
    seed: int = option(0, least=0)


_EXPERIMENT, _CLUSTER, _TOP = (declared(kind) for kind in (_Experiment, _Job, _Top))
_RESOLUTION = parameter(str, Option(names=RESOLUTION))
_SECONDS = parameter(float, Option(least=0))
_PATHS = {"prepare-yolo": ("cfg",), "stage1-train": ("weights", "darknet"), "stage1-detect": ("darknet",)}
"""Options that are files."""


@dataclass(frozen=True)
class Settings:
    """An experiment's settings, complete and checked.

    Attributes
    ----------
    seed : int
        Of everything that is drawn; a repetition's is greater by 1 for each before it.
    resolutions : mapping
        The paper's resolution, HR or LR -> what it is called in the study.
    input : str
        Image of all tables but Table 2.
    fold : str
        Fold of Tables 2 and 3.
    scanner : str
        Scanner that Table 8 trains on; empty: the one with most patients.
    tables : tuple of int
        Tables to make cells for.
    rivals : tuple of str
        Methods that Table 9 holds against the paper's.
    rival_folds : {"all", "first"}
        Folds that they have; the paper's own, frst, has all.
    best_fold : {"validation", "paper"}
        Fold whose networks Table 7 looks at the controls with: the best on ``validation`` subjects, or the ``paper``'s.
    repeats : int
        How often every cell is trained, each time with another seed.
    options : mapping
        Step -> options as :mod:`cmb_toolkit.paper.options` has them; a table within, ``HR``, ``LR`` or ``HR+LR``,
        holds for cells of that resolution.
    seconds : mapping
        Step -> roughly how long one job takes [s], for as long as nothing was measured. Of a base, they are scaled to
        what a file asks for (:func:`cmb_toolkit.paper.work.work`).
    cluster : mapping
        What a job asks of a cluster: threads, memory-mb, minutes, partition, account; a table within holds for a step.
    """

    seed: int
    resolutions: Mapping[str, str]
    input: str
    fold: str
    scanner: str
    tables: tuple[int, ...]
    rivals: tuple[str, ...]
    rival_folds: Literal["all", "first"]
    best_fold: Literal["validation", "paper"]
    repeats: int
    options: Mapping[str, Mapping[str, Any]]
    seconds: Mapping[str, float]
    cluster: Mapping[str, Any]

    def step(self, step: str, data: str = "") -> dict[str, Any]:
        """Options of a step, those of a resolution over the general ones."""
        own = self.options.get(step, {})
        options = {name: value for name, value in own.items() if name not in (*DATA, BOTH)} | dict(own.get(data, {}))
        if isinstance(options.get("threshold"), int | float):
            options.pop("most-false", None)  # of the base: it goes with a threshold that is chosen
        return options

    def files(self, step: str, data: str = "") -> list[Path]:
        """Files that a step's options name: a network, first weights, a Darknet."""
        named = (Path(self.step(step, data).get(option, "")) for option in _PATHS.get(step, ()))
        return [path for path in named if is_file(path)]

    def job(self, step: str) -> dict[str, Any]:
        """What a step's job asks of a cluster."""
        general = {name: value for name, value in self.cluster.items() if name in _CLUSTER}
        return general | dict(self.cluster.get(step, {}))

    def as_dict(self) -> dict[str, Any]:
        """The settings as a file would have them."""
        return {
            "seed": self.seed,
            "resolutions": dict(self.resolutions),
            "experiment": {
                "input": self.input,
                "fold": self.fold,
                "scanner": self.scanner,
                "tables": list(self.tables),
                "rivals": list(self.rivals),
                "rival-folds": self.rival_folds,
                "best-fold": self.best_fold,
                "repeats": self.repeats,
            },
            **{step: dict(options) for step, options in self.options.items()},
            "seconds": dict(self.seconds),
            "cluster": dict(self.cluster),
        }


def load_settings(source: str | Path) -> Settings:
    """Settings that come with the toolkit, or of a file.

    Parameters
    ----------
    source : str or Path
        One of :data:`NAMES`, or a TOML file. A file may name one of them as its ``base``.

    Raises
    ------
    MissingError
        If there is no such file.
    DataError
        If it is not TOML, has an unknown key, or a value that cannot be.
    """
    path = _path(source)
    return settings_of(_read(path), path)


def settings_of(content: Mapping[str, Any], path: Path) -> Settings:
    """Settings of a file's content.

    Parameters
    ----------
    content : mapping
        As TOML or :meth:`Settings.as_dict` gives it.
    path : Path
        The file, for messages and as the place that relative paths start from.

    Raises
    ------
    DataError
    """
    content = _with_base(_checked(content, path), path)
    if not content.get("resolutions"):
        raise DataError(f'{path}: lacks [resolutions]. Say what HR and LR are called in the study: HR = "HR".')
    try:
        experiment = content["experiment"]
        return Settings(
            seed=content["seed"],
            resolutions=content["resolutions"],
            input=experiment["input"],
            fold=experiment["fold"],
            scanner=nfc(experiment["scanner"]),
            tables=tuple(sorted(set(experiment["tables"]))),
            rivals=tuple(experiment.get("rivals", (FRST,))),
            rival_folds=experiment.get("rival-folds", "all"),
            best_fold=experiment["best-fold"],
            repeats=experiment["repeats"],
            options={step: content.get(step, {}) for step in OPTIONS},
            seconds=content.get("seconds", {}),
            cluster=content.get("cluster", {}),
        )
    except KeyError as error:
        raise DataError(
            f'{path}: lacks {error.args[0]}. Begin the file with base = "paper", and it holds only what differs.'
        ) from error


def _with_base(content: dict[str, Any], path: Path) -> dict[str, Any]:
    """The content over that of its base, whose times are scaled to what is asked for."""
    base = content.pop("base", None)
    if base is None:
        return content
    if base not in NAMES:
        raise DataError(f'{path}: base = "{base}" is not known; choose one of {", ".join(NAMES)}.')
    below = _with_base(_checked(_read(_path(base)), _path(base)), _path(base))
    merged = _merged(below, content)
    try:
        before, now = work(below), work(merged)
    except CmbError as error:
        raise type(error)(f"{path}: [prepare-yolo]: {error}") from error
    for step in before:
        if step not in content.get("seconds", {}):
            merged["seconds"][step] *= now[step] / before[step]
    return merged


def _path(source: str | Path) -> Path:
    path = _FOLDER / f"experiment-{source}.toml" if source in NAMES else Path(source)
    check_file(path, f"It is no settings file, and not one of {', '.join(NAMES)}.")
    return path


def _read(path: Path) -> dict[str, Any]:
    return load_toml(path, "Correct it; cfg/experiment-paper.toml is one.")


def _checked(given: Mapping[str, Any], path: Path) -> dict[str, Any]:
    """The content, every key and value of it known, its relative paths made absolute."""
    content = copy.deepcopy(dict(given))
    known = [*_TOP, "resolutions", "experiment", *OPTIONS, "seconds", "cluster"]
    for name, value in content.items():
        _check_key(path, "", name, known)
        if name in _TOP:
            _check(path, name, value, _TOP[name])
        elif not isinstance(value, dict):
            raise DataError(f"{path}: {name} must be a table, [{name}].")
    _check_table(path, "resolutions", content.get("resolutions", {}), dict.fromkeys(DATA, _RESOLUTION))
    _check_table(path, "experiment", content.get("experiment", {}), _EXPERIMENT)
    for step, kinds in OPTIONS.items():
        _check_table(path, step, content.get(step, {}), kinds, () if step in ("split", "preprocess") else (*DATA, BOTH))
    _check_table(path, "seconds", content.get("seconds", {}), dict.fromkeys(OPTIONS, _SECONDS))
    _check_table(path, "cluster", content.get("cluster", {}), _CLUSTER, tuple(OPTIONS))
    for step, options in _PATHS.items():
        own = content.get(step, {})
        for table in (own, *(own[data] for data in (*DATA, BOTH) if data in own)):
            for name in options:
                if name in table and is_file(path.parent / table[name]):
                    table[name] = str((path.parent / table[name]).resolve())
    return content


def _check_table(
    path: Path, name: str, table: Mapping[str, Any], known: Mapping[str, Parameter], within: Iterable[str] = ()
) -> None:
    for key, value in table.items():
        _check_key(path, name, key, [*known, *within])
        if key in known:
            _check(path, f"[{name}] {key}", value, known[key])
        elif isinstance(value, dict):
            _check_table(path, f"{name}.{key}", value, known)
        else:
            raise DataError(f"{path}: [{name}] {key} must be a table, [{name}.{key}].")


def _check_key(path: Path, section: str, key: str, known: Iterable[str]) -> None:
    names = list(known)
    if key in names:
        return
    folded = {name.casefold(): name for name in names}
    near = [folded[found] for found in difflib.get_close_matches(key.casefold(), folded, 1, 0.5)]
    where = f"[{section}] " if section else ""
    key = key if INPUT.fits(key) else shown(key)
    what = f"did you mean {near[0]}?" if near else f"known are {', '.join(names)}."
    raise DataError(f"{path}: {where}{key} is not known; {what}")


def _check(path: Path, name: str, value: Any, known: Parameter) -> None:
    if not known.takes(value):
        raise DataError(f"""{path}: {name} = {shown(value)} must be {known.expected('"')}.""")


def _merged(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for name, value in over.items():
        both = isinstance(value, dict) and isinstance(merged.get(name), dict)
        merged[name] = _merged(merged[name], value) if both else value
    return merged
