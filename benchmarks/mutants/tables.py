"""Every table: cells, rows, columns, bytes, and what stands in its place."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from cmb_toolkit.evaluation.recipe import Evaluating, Showing
from cmb_toolkit.evaluation.rules import RULES
from cmb_toolkit.io.tables import read_tsv
from cmb_toolkit.sources.marks.base import MarkOptions
from cmb_toolkit.sources.marks.table import read
from cmb_toolkit.sources.table import Table
from cmb_toolkit.steps.compare import compare_cells
from cmb_toolkit.steps.evaluate import evaluate
from cmb_toolkit.steps.import_ import import_
from cmb_toolkit.steps.stage2_crop import stage2_crop
from cmb_toolkit.study.cohort import read_fold, read_microbleeds, read_participants
from cmb_toolkit.study.layout import Cell, Study

from .damage import ODD, bytes_damaged, nothing, one_of, place_damaged, text_damaged
from .kind import Kind, Mutant
from .study import CELL, copied, make_study

__all__ = ["KINDS"]

Random = np.random.Generator

_NOTHING = ("", "n/a")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)


@dataclass(frozen=True)
class _Column:
    """What a column may hold: a pattern for text, or bounds for numbers; whole numbers; nothing at all."""

    pattern: str = ""
    low: float = -np.inf
    high: float = np.inf
    whole: bool = False
    may_lack: bool = False


_ID = _Column(r"sub-[0-9A-Za-z]+(_ses-[0-9A-Za-z]+)?")
_LOOSE_ID = _Column(r".+")
_VOXEL = _Column(low=-1e6, high=1e6, whole=True)
_MM = _Column(low=-1e9, high=1e9)
_SHARE = _Column(low=0, high=1)
_COUNT = _Column(low=0, high=1e15, whole=True)
_REAL = _Column(low=-1e300, high=1e300, may_lack=True)
_ROLE = _Column("train|validation|test|control|excluded")

_PLACES = dict.fromkeys(("i", "j", "x_mm", "y_mm", "z_mm", "left", "top", "right", "bottom"), _MM)


@dataclass(frozen=True)
class _Table:
    """A table in a study or its source: where, who reads it, what is in the columns that count."""

    name: str
    file: str
    read: Callable[[Path], Any]
    columns: Mapping[str, _Column]
    share: float = 1.0
    in_step: bool = False
    """The reader is a step that returns other things than the table."""


def _cell(folder: Path) -> Cell:
    return Study.open(folder / "study").cell_named(CELL)


def _participants(folder: Path) -> pd.DataFrame:
    return read_participants(Study.open(folder / "study"))


def _microbleeds(folder: Path) -> pd.DataFrame:
    return read_microbleeds(Study.open(folder / "study"))


def _folds(folder: Path) -> Any:
    study = Study.open(folder / "study")
    folds = [read_fold(study, name) for name in ("1", "2")]
    rows = [
        (fold.name, subject, role)
        for fold in folds
        for role in ("train", "validation", "test", "control")
        for subject in getattr(fold, role)
    ]
    return pd.DataFrame(rows, columns=["fold", "participant_id", "role"])


def _import(folder: Path) -> Any:
    source = folder / "source"
    made = import_(
        Table(marks=(source / "marks.tsv",)),
        source / "files.tsv",
        folder / "new",
        on_progress=lambda done, total, what: None,
    )
    return read_tsv(made / "participants.tsv")


def _marks(folder: Path) -> Any:
    return read(folder / "source" / "marks.tsv", MarkOptions()).points


def _crop(folder: Path) -> Any:
    return read_tsv(stage2_crop(_cell(folder).folder) / "patches.tsv")


def _evaluate(folder: Path) -> Any:
    return read_tsv(evaluate(_cell(folder).folder, Evaluating(most_false=0)) / "candidates.tsv")


def _patches(folder: Path) -> Any:
    from cmb_toolkit.study.patches import read_patches

    return read_patches(_cell(folder).patches)[0]


def _yolo_history(folder: Path) -> Any:
    return read_tsv(_cell(folder).yolo_history, ["iteration", "loss", "avg_loss"])


def _cnn_history(folder: Path) -> Any:
    return read_tsv(_cell(folder).cnn_history, ["epoch", "loss", "val_loss"])


def _subjects(folder: Path) -> Any:
    cell = _cell(folder)
    return [compare_cells(cell.folder, cell.folder, Showing(rule)) for rule in RULES]


_HERE = f"study/cells/{CELL}"
_CANDIDATES = {
    "candidate_id": _Column(".+"), "participant_id": _ID, "role": _ROLE, "k": _VOXEL, **_PLACES,
    "confidence": _Column(low=0, high=1e9),
}  # fmt: skip
_PATHS = dict.fromkeys(("magnitude", "phase"), _Column(r"[^\0]*", may_lack=True))

TABLES = (
    _Table(
        "participants", "study/participants.tsv", _participants,
        {"participant_id": _ID, "resolution": _Column(r"[0-9A-Za-z][0-9A-Za-z+-]*"),
         "scanner": _Column(r"[^\W_][\w .,:#+/()-]*", may_lack=True), "group": _Column("patient|control")},
    ),
    _Table(
        "microbleeds", "study/microbleeds.tsv", _microbleeds,
        {"participant_id": _LOOSE_ID, "i": _VOXEL, "j": _VOXEL, "k": _VOXEL, "x_mm": _MM, "y_mm": _MM, "z_mm": _MM},
    ),
    _Table(
        "folds", "study/folds.tsv", _folds,
        {"fold": _Column("[12]"), "participant_id": _ID, "role": _ROLE}, in_step=True,
    ),
    _Table(
        "marks", "source/marks.tsv", _marks,
        {"participant_id": _Column(r"[^\t\n]+"), "i": _VOXEL, "j": _VOXEL, "k": _VOXEL},
    ),
    _Table(
        "import-table", "source/files.tsv", _import,
        {"participant_id": _ID, "resolution": _Column(r"[0-9A-Za-z][0-9A-Za-z+-]*"),
         "group": _Column("patient|control"), "echo_time_ms": _Column(low=1e-9, high=1e4, may_lack=True),
         "phase_sign": _Column(low=-1, high=1, whole=True, may_lack=True), **_PATHS}, in_step=True,
    ),
    _Table("candidates", f"{_HERE}/candidates.tsv", _crop, {}, in_step=True),
    _Table("findings", f"{_HERE}/findings.tsv", _evaluate, {
        **_CANDIDATES, "probability": _SHARE, "kept": _Column("True|False")}, share=0.3, in_step=True),
    _Table("patches-table", f"{_HERE}/patches/patches.tsv", _patches, {
        "candidate_id": _Column(".+"), "participant_id": _LOOSE_ID, "role": _ROLE,
        "label": _Column(low=0, high=1, whole=True, may_lack=True),
        "origin": _Column("candidate|microbleed")}),
    _Table("yolo-history", f"{_HERE}/yolo_history.tsv", _yolo_history, {"iteration": _COUNT, "loss": _REAL}),
    _Table("cnn-history", f"{_HERE}/cnn_history.tsv", _cnn_history, {"epoch": _COUNT, "loss": _REAL}),
    _Table("result-table", f"{_HERE}/evaluation/subjects.tsv", _subjects, {}, in_step=True),
)  # fmt: skip


def _cells_damaged(rows: list[list[str]], random: Random) -> tuple[str, tuple[int, str, str] | None]:
    """Another cell, row or column in a table; what was done, and line, column and text where it was one cell."""
    kind = one_of(random, ["cell"] * 5 + ["row", "column"])
    row, column = int(random.integers(len(rows))), int(random.integers(len(rows[0])))
    name = rows[0][column]
    if kind == "cell":
        row = max(1, row)
        rows[row][column] = one_of(random, ODD)
        return f"line {row + 1}, {name}: {rows[row][column][:40]!r}", (row, name, rows[row][column])
    if kind == "row":
        change = one_of(random, list(_ROWS))
        _ROWS[change](rows, row)
        return f"line {row + 1}: {change}", None
    change = one_of(random, ["lost", "renamed", "twice", "empty"])
    for n, cells in enumerate(rows):
        if change == "lost":
            del cells[column]
        elif change == "renamed" and n == 0:
            cells[column] = one_of(random, ODD)
        elif change == "twice":
            cells.append(cells[column])
        elif change == "empty" and n:
            cells[column] = "n/a"
    return f"column {name}: {change}", None


_ROWS: Mapping[str, Callable[[list[list[str]], int], Any]] = {
    "shorter": lambda rows, row: rows[row].pop(),
    "longer": lambda rows, row: rows[row].append("x"),
    "lost": lambda rows, row: rows.pop(row),
    "twice": lambda rows, row: rows.append(list(rows[row])),
    "the header again": lambda rows, row: rows.insert(1, list(rows[0])),
    "only the header": lambda rows, row: rows.__delitem__(slice(1, None)),
}


def _mutate(table: _Table, random: Random, originals: Path, folder: Path) -> Mutant:
    base = copied(originals, folder / "all")
    path, rights, at = base / table.file, nothing, None
    text = path.read_text("utf-8")
    content = text.encode()
    kind = one_of(random, ["cells"] * 14 + ["tabs", "text", "bytes", "bytes", "place"])
    if kind == "cells":
        rows = [line.split("\t") for line in text.rstrip("\n").split("\n")]
        what, at = _cells_damaged(rows, random)
        content = "".join("\t".join(row) + "\n" for row in rows).encode("utf-8", "replace")
    elif kind == "tabs":
        separator = one_of(random, [",", ";", " ", "|"])
        content, what = text.replace("\t", separator).encode(), f"{separator!r} between cells"
    elif kind == "text":
        content, what = text_damaged(text, random)
    elif kind == "bytes":
        content, what = bytes_damaged(content, random)
    path.unlink()
    path.write_bytes(content)
    if kind == "place":
        what, rights = place_damaged(path, random)

    def read() -> Any:
        with rights():
            return table.read(base)

    def wrong(found: Any) -> str:
        if not isinstance(found, pd.DataFrame) or not table.columns:
            return ""
        lines = [
            line for line in re.split(r"\r\n|\n|\r", content.decode("utf-8", "replace")) if line.strip("\t \ufeff")
        ]
        if not table.in_step and len(found) != len(lines) - 1:
            return f"{len(found)} rows of {len(lines) - 1} lines"
        for name, column in table.columns.items():
            if name in found and (problem := _problem(found[name], column)):
                return f"{name}: {problem}"
        return _other_cell(found, at, table) if at is not None else ""

    # a step may name whom it could not work on, or the file that a row names
    others = (CELL, "sub-", str(base)) if table.in_step else ()
    return Mutant(what, read, path, wrong, others)


def _problem(values: pd.Series[Any], column: _Column) -> str:
    """What a column holds that it may not."""
    for value in values:
        if pd.isna(value) or value == "":
            if not column.may_lack:
                return "nothing where something is needed"
        elif column.pattern:
            if not re.fullmatch(column.pattern, str(value)):
                return f"{str(value)[:60]!r}"
        elif not _NUMBER.fullmatch(str(value)):
            return f"{str(value)[:60]!r} is no number"
        elif not column.low <= float(value) <= column.high or (column.whole and float(value) != int(value)):
            return f"{value!r} cannot be"
    return ""


def _other_cell(found: pd.DataFrame, at: tuple[int, str, str], table: _Table) -> str:
    """Whether a cell was read as something else than what stands in it."""
    row, name, text = at
    if table.in_step or name not in table.columns or name not in found:
        return ""
    column, value, given = table.columns[name], found[name].iloc[row - 1], text.strip().strip('"').strip()
    if given in _NOTHING:
        return "" if pd.isna(value) else f"{name}: {text!r} was read as {value!r}"
    if column.pattern:
        import unicodedata

        same = unicodedata.normalize("NFC", given) == unicodedata.normalize("NFC", str(value).strip())
    else:
        same = bool(_NUMBER.fullmatch(given)) and float(given) == float(value)
    return "" if same else f"{name}: {text[:60]!r} was read as {str(value)[:60]!r}"


def _make(folder: Path) -> None:
    make_study(folder)


def _kind(table: _Table) -> Kind:
    return Kind(
        table.name, make_study, lambda random, originals, folder: _mutate(table, random, originals, folder), table.share
    )


KINDS = tuple(_kind(table) for table in TABLES)
