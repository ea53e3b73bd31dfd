"""What a cell is: its method and input, of which resolutions and fold, and whose scans have which role.

The step that makes a cell says it in ``cell.json``. Cells made before there was such a file are known by the
provenance of that step; both are read here and nowhere else.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, cast, get_args

from ..detectors import DETECTORS, finders, method_of
from ..errors import CmbError, DataError, MissingError
from ..evaluation.results import Threshold
from ..evaluation.rules import RULES, rule_named
from ..evaluation.rules.base import Rule
from ..imaging.recipe import Mode
from ..io.files import load_json
from ..io.publish import identity, read_record, sidecar, write_text
from ..model import ROLES
from .layout import Cell

__all__ = [
    "Setup",
    "finding",
    "hit_distance_mm",
    "labelled_by",
    "looked_at",
    "read_setup",
    "thresholds",
    "work_on",
    "write_setup",
]

_LARGEST = 64 << 20


@dataclass(frozen=True)
class Setup:
    """What a cell was made for.

    Attributes
    ----------
    resolutions : tuple of str
        One, or several that share a detector.
    method : str
        One of :data:`cmb_toolkit.detectors.DETECTORS`.
    input : str
        What its images show, one of :data:`cmb_toolkit.model.INPUTS`; of a method without images its own name.
    fold : str
    size : int
        Side of the network image [px] on which boxes are given.
    mode : {"auto", "crop", "resize"}
        How planes become images, see :func:`cmb_toolkit.imaging.frame.make_frame`.
    roles : mapping
        Each of :data:`cmb_toolkit.model.ROLES` -> subjects that have it.
    repeat : int
        Which training of the same.
    scale, background : str or None
        How grey values become 0..1, and of the complemented phase outside the brain; None where there are no images.
    seed : int or None
        Of what was drawn to make it.
    made_from : str
        Identity of what it was made from, the same after it was made again; empty where that is not known.
    """

    resolutions: tuple[str, ...]
    method: str
    input: str
    fold: str
    size: int
    mode: Mode
    roles: Mapping[str, tuple[str, ...]]
    repeat: int = 1
    scale: str | None = None
    background: str | None = None
    seed: int | None = None
    made_from: str = ""

    @property
    def resolution(self) -> str:
        """All of them in one word, as the cell's name has it."""
        return "+".join(self.resolutions)


def write_setup(cell: Cell, setup: Setup) -> None:
    """Say what a cell is; nothing is written where it is said already.

    Raises
    ------
    StorageError
    """
    target = _made(cell)
    setup = replace(setup, made_from=identity(target[0], str(target[0]))) if target else setup
    text = json.dumps(asdict(setup), indent=2, sort_keys=True) + "\n"
    if not cell.setup.is_file() or cell.setup.read_bytes() != text.encode():
        write_text(cell.setup, text)


def read_setup(cell: Cell) -> Setup:
    """What a cell is, by its ``cell.json``; by the provenance of the step that made it where there is none, or where
    that is of something else than lies there now.

    Raises
    ------
    MissingError
        If there is neither.
    DataError
        If it does not say what the cell was made for.
    """
    made = _made(cell)
    if cell.setup.is_file():
        setup = _checked(load_json(cell.setup, _again(made[1] if made else ""), _LARGEST), cell.setup)
        if made is None or setup.made_from == identity(made[0], str(made[0])):
            return setup
    if made is None:
        raise MissingError(
            f"{cell.project}: no finished Darknet project. Run `cmbtk prepare-yolo` for this cell first "
            f"(or {' or '.join(f'`cmbtk {command}`' for command in finders())}, which needs none)."
        )
    target, method, noted = made
    known: dict[str, Any] = {name: noted.get(name) for name in ("fold", "input", "size", "mode", "roles")}
    known["resolutions"] = noted.get("resolutions", [noted.get("resolution")])
    known |= {name: noted.get(name) for name in ("scale", "background", "seed")}
    return _checked({**known, "method": method, "repeat": noted.get("repeat", 1)}, sidecar(target))


def _made(cell: Cell) -> tuple[Path, str, dict[str, Any]] | None:
    """What the step that made a cell wrote last, by which method, and with which parameters."""
    for method, detector in DETECTORS.items():
        target = cell.candidates if detector.finder else cell.project
        record = read_record(target)
        if record is not None and record["step"] == detector.command and target.exists():
            return target, method, record["parameters"]
    return None


def finding(cell: Cell) -> str:
    """The command that finds the candidates of a cell; the first method's where the cell does not say what it is."""
    try:
        method = read_setup(cell).method
    except CmbError:
        method = method_of("")
    return DETECTORS[method].finds


def _again(method: str) -> str:
    return f"Run `cmbtk {DETECTORS.get(method, DETECTORS[method_of('')]).command}` for it again."


def _checked(content: Any, path: Path) -> Setup:
    """The setup that a JSON content is.

    Raises
    ------
    DataError
        If it is none.
    """
    known = content if isinstance(content, dict) else {}
    roles = known.get("roles")
    texts = (known.get("input"), known.get("fold"), *_list(known.get("resolutions")))
    names = [name for role in ROLES for name in _list(roles.get(role, []))] if isinstance(roles, dict) else [None]
    optional = (known.get("scale"), known.get("background"))
    right = (
        isinstance(known.get("method"), str)
        and known["method"] in DETECTORS
        and known.get("mode") in get_args(Mode)
        and _list(known.get("resolutions")) != []
        and all(isinstance(each, str) for each in (*texts, *names))
        and all(each is None or isinstance(each, str) for each in optional)
        and all(type(each) is int and each >= 1 for each in (known.get("size"), known.get("repeat")))
        and (known.get("seed") is None or type(known["seed"]) is int)
    )
    if not right:
        raise DataError(f"{path}: does not say what the cell was made for. {_again(str(known.get('method')))}")
    return Setup(
        resolutions=tuple(known["resolutions"]),
        method=known["method"],
        input=known["input"],
        fold=known["fold"],
        size=known["size"],
        mode=cast(Mode, known["mode"]),
        roles={role: tuple(cast(dict[str, list[str]], roles).get(role, [])) for role in ROLES},
        repeat=known["repeat"],
        scale=known.get("scale"),
        background=known.get("background"),
        seed=known.get("seed"),
        made_from=str(known.get("made_from", "")),
    )


def _list(value: Any) -> list[Any]:
    """A list, or one that holds what no name is."""
    return value if isinstance(value, list) else [None]


# --- what its steps say of themselves --------------------------------------------------------------------------------


def labelled_by(cell: Cell) -> Rule:
    """The rule by which the patches of a cell were told to be of a microbleed or of none.

    Raises
    ------
    DataError
        If their provenance does not say.
    """
    noted = (read_record(cell.patches) or {}).get("parameters", {})
    rule, distance_mm = noted.get("rule"), noted.get("distance_mm")
    if rule not in RULES or distance_mm is None:
        raise DataError(
            f"{sidecar(cell.patches)}: does not say how the patches were labelled. Run `cmbtk stage2-crop` again."
        )
    return rule_named(rule, distance_mm=float(distance_mm))


def looked_at(cell: Cell) -> tuple[str, ...] | None:
    """On the subjects of which roles stage 1 was run; None where it does not say."""
    noted = (read_record(cell.candidates) or {}).get("parameters", {}).get("roles")
    return None if noted is None else tuple(noted)


def thresholds(cell: Cell) -> dict[str, Threshold]:
    """The thresholds in force of ``stage1`` and ``stage2``, as the steps that applied them noted."""
    found = {}
    for stage, table in (("stage1", cell.candidates), ("stage2", cell.findings)):
        note = (read_record(table) or {}).get("threshold") if table.is_file() else None
        if note:
            found[stage] = Threshold(float(note["value"]), str(note["chosen"]))
    return found


def hit_distance_mm(cell: Cell) -> float:
    """Within what distance [mm] of a microbleed the evaluation of a cell called a candidate a hit."""
    return float((read_record(cell.evaluation) or {}).get("parameters", {}).get("distance_mm", 3.0))


def work_on(table: Path) -> Mapping[str, Any] | None:
    """What finding candidates or classifying them took: seconds, subjects, machine; None where it was not noted."""
    return (read_record(table) or {}).get("work")
