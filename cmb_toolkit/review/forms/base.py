"""What a reader of returned files gives.

A reader is a function ``read(path)`` in a file of its own, and a line of :mod:`cmb_toolkit.review.forms.registry`.
"""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from ...schema import WORLD

__all__ = ["COLUMNS", "Returned"]

COLUMNS = ("where", "participant_id", "id", *WORLD, "verdict", "mimic", "reader", "comment")


@dataclass(frozen=True)
class Returned:
    """What came back in one file.

    Attributes
    ----------
    how : str
        As what it was understood.
    rows : DataFrame
        :data:`COLUMNS`, a row for each thing that something is said of: `where` it stands, for messages; participant_id
        (empty where the file does not say whose), id and place (NaN where there is none), verdict (empty: it is a
        microbleed if it is new, and nothing is said of it if it was handed out), mimic, reader and comment (or empty).
    whole : bool
        Whether the file shows all microbleeds of its scan, so that a finding which is not in it was taken out.
    unplaced : tuple of int
        Ids of which such a file says nothing, though they are not in it.
    row_of_sheet : bool
        Whether ids are rows of the sheet that was handed out, from 2.
    """

    how: str
    rows: pd.DataFrame
    whole: bool = False
    unplaced: tuple[int, ...] = ()
    row_of_sheet: bool = False
