"""``compare``: two cells, or two rows of cells that differ in the fold alone, on the same test subjects."""

from __future__ import annotations

import glob
import re
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from ..errors import DataError, MissingError
from ..evaluation.comparison import Comparison, compare
from ..evaluation.intervals import persons_of
from ..evaluation.recipe import Showing
from ..evaluation.summary import common_label
from ..io.tables import read_tsv
from ..study.layout import Cell, Study
from ..study.results import read_result, shown_rule

__all__ = ["compare_cells"]

_STAGES = ("stage1", "overall")
_FOLD = re.compile(r"_fold-(.+?)(_repeat-\d+)?$")


def compare_cells(first: Path, second: Path, recipe: Showing | None = None) -> Comparison:
    """Compare two cells on their test subjects.

    Parameters
    ----------
    first, second : Path
        An evaluated cell, ``STUDY/cells/NAME``; or such a path without ``_fold-N``, which stands for all of these
        cells. Of several folds those are compared that both sides have, put together.
    recipe : Showing, optional

    Raises
    ------
    MissingError
        If a path is no cell, or none of its cells is evaluated.
    DataError
        If the sides have no fold in common, were evaluated by different rules, or tested on different subjects.
    """
    one, other = _cells(first), _cells(second)
    rule = (recipe or Showing()).rule or shown_rule([*one.values(), *other.values()])
    folds = [fold for fold in one if fold in other]
    if not folds:
        raise DataError(
            f"no fold in common: {first.name} has {', '.join(one)}, {second.name} has {', '.join(other)}. "
            "Run and evaluate the same folds of both."
        )
    chosen = [[side[fold] for fold in folds] for side in (one, other)]
    label = common_label([read_result(cell) for cells in chosen for cell in cells], rule)
    stages = {}
    for stage in _STAGES:
        tables = [_subjects(cells, rule, stage) for cells in chosen]
        if all(map(len, tables)):
            stages[stage] = compare(*tables)
            counted = tables[0]
    if not stages:
        raise DataError(
            f"{first.name} and {second.name} were not both evaluated on test subjects. Run `cmbtk evaluate`."
        )
    microbleeds = int(counted["microbleeds"].sum())
    return Comparison((first.name, second.name), tuple(folds), len(counted), microbleeds, label, stages)


def _cells(path: Path) -> dict[str, Cell]:
    """Evaluated cells by fold: the one named, or those whose name goes on with the fold."""
    folders = [path] if path.is_dir() else sorted(path.parent.glob(f"{glob.escape(path.name)}_fold-*"))
    cells = {}
    for folder in folders:
        match = _FOLD.search(folder.name)
        if match and (path.is_dir() or (match[1].isdigit() and not match[2])):
            cells[match[1]] = Study.of_cell(folder)[1]
    if not cells:
        raise MissingError(f"{path}: not a cell, and no cell's name begins so. Name STUDY/cells/NAME.")
    done = {fold: cell for fold, cell in cells.items() if cell.metrics.is_file()}
    if not done:
        raise MissingError(f"{path}: not evaluated. Run `cmbtk evaluate` on it first.")
    return done


def _subjects(cells: Sequence[Cell], rule: str, stage: str) -> pd.DataFrame:
    """Counts of the test subjects, all folds together."""
    columns = ["rule", "role", "stage", "participant_id", "microbleeds", "tp", "fn", "fp"]
    table = pd.concat([read_tsv(cell.evaluation / "subjects.tsv", columns) for cell in cells])
    own = table[(table["rule"] == rule) & (table["role"] == "test") & (table["stage"] == stage)]
    persons = {"person_id": persons_of(own)} if "person_id" in own else {}
    own = own.assign(**persons)
    return own.groupby(["participant_id", *persons], as_index=False)[columns[4:]].sum()
