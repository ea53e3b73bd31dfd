"""The numbers of Al-masni et al. 2020 as printed, and the counts behind them.

The tables are shipped as text (``data/published`` in the source), every value as the paper prints it. A printed value
is never corrected: what the paper's own counts give instead stands beside it, in the ``note`` column and in
:func:`cmb_toolkit.paper.audit.audit`.
"""

from __future__ import annotations

import io
from functools import cache
from importlib.resources import files

import pandas as pd

from ..errors import MissingError, UsageError
from ..model import Counts

__all__ = ["TABLES", "published_counts", "published_table", "read_published"]

TABLES: dict[int, str] = {
    1: "Subjects and microbleeds by fold",
    2: "Stage 1 with five inputs (HR, fold 1)",
    3: "Stage 1 with HR, LR and both (fold 1)",
    4: "Stage 1 by fold",
    5: "Stage 2 by fold, HR",
    6: "Stage 2 by fold, LR",
    7: "Both stages on healthy controls",
    8: "Stage 2 trained on Verio, tested on Skyra",
    9: "Both stages beside earlier work",
}


@cache
def read_published(name: str) -> pd.DataFrame:
    """A shipped table by its file, every value as text.

    Raises
    ------
    MissingError
        If it is not there.
    """
    try:
        text = (files("cmb_toolkit") / "published" / name).read_text("utf-8")
    except OSError as error:
        raise MissingError(
            f"published/{name}: the paper's numbers are not with the installed package. Install cmb_toolkit again."
        ) from error
    return pd.read_csv(io.StringIO(text), sep="\t", dtype=str, keep_default_na=False)


def published_table(number: int) -> pd.DataFrame:
    """One of the paper's tables as printed.

    Parameters
    ----------
    number : int
        1 to 9. Halves that the paper prints side by side (HR, LR) are stacked; the row's name says which.

    Returns
    -------
    DataFrame
        Indexed by ``row`` (for example ``HR fold 1``); every value is text exactly as printed, ``n/a`` for a dash;
        ``note`` says where the paper's own counts give something else.
    """
    if number not in TABLES:
        raise UsageError(f"the paper has no table {number}; choose from {min(TABLES)} to {max(TABLES)}.")
    return read_published(f"table-{number}.tsv").set_index("row")


def published_counts(number: int, row: str) -> Counts:
    """The whole numbers behind one row of the paper's tables 2 to 9; ``... total`` adds the folds.

    False positives are the only whole numbers that reproduce the printed rates (to one unit in the last digit).
    """
    table = read_published("counts.tsv")
    table = table[table["table"] == str(number)]
    wanted = (
        table["row"].str.startswith(row.removesuffix("total") + "fold")
        if row.endswith(" total")
        else table["row"] == row
    )
    if not wanted.any():
        raise UsageError(f"the counts behind row {row!r} of the paper's table {number} are not known.")
    total = Counts()
    for _, line in table[wanted].iterrows():
        tp, fp, fn, subjects = (int(line[name]) for name in ("tp", "fp", "fn", "subjects"))
        total += Counts(tp, fp, fn, 0 if line["tn"] == "n/a" else int(line["tn"]), subjects)
    return total
