"""What the evaluations of a study's cells say."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from ..errors import DataError, MissingError
from ..evaluation.recipe import Evaluating
from ..evaluation.results import CellResult
from ..evaluation.rules import RULES
from ..io.files import load_json
from ..io.publish import read_record
from ..wording import counted
from .layout import Cell, Study

__all__ = ["evaluated_cells", "read_result", "shown_rule"]


_AGAIN = "Run `cmbtk evaluate` on this cell again."


def evaluated_cells(study: Study) -> list[Cell]:
    """Cells with a finished evaluation, by name.

    Raises
    ------
    MissingError
        If there is none.
    """
    cells = study.cells()
    done = [cell for cell in cells if cell.metrics.is_file()]
    if not done:
        have = f"{counted(len(cells), 'cell')}, none of them evaluated" if cells else "no cell"
        raise MissingError(f"{study.root}: {have}. Run `cmbtk evaluate STUDY/cells/NAME` first.")
    return done


def read_result(cell: Cell) -> CellResult:
    """What ``metrics.json`` of a cell says.

    Raises
    ------
    DataError
        If it cannot be read.
    """
    try:
        return CellResult.from_json(load_json(cell.metrics, _AGAIN))
    except DataError as error:
        raise error if str(cell.metrics) in str(error) else DataError(f"{cell.metrics}: {error}") from error


def shown_rule(cells: Sequence[Cell]) -> str:
    """The rule under which a study is shown where nobody says another: that of most of its evaluations.

    Parameters
    ----------
    cells : sequence of Cell
        Evaluated ones.
    """
    used = Counter((read_record(cell.evaluation) or {}).get("parameters", {}).get("rule") for cell in cells)
    return max(RULES, key=lambda rule: (used[rule], rule == Evaluating.rule))
