"""Which cells the paper's tables are made of."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import pandas as pd

from ..detectors import DETECTORS, Detector, method_of
from ..errors import DataError
from ..evaluation.folds import SCANNER_FOLD, scanner_folds
from ..model import INPUTS
from ..study.layout import cell_name
from .settings import BOTH, DATA, FRST, TABLES, Settings

__all__ = ["PlannedCell", "is_scanner_fold", "list_cells"]

_STAGE2 = ("stage2-crop", "stage2-train", "stage2-classify")


@dataclass(frozen=True)
class PlannedCell:
    """A cell of the experiment, before it exists.

    Attributes
    ----------
    data : str
        HR, LR or HR+LR, as the paper has them.
    resolutions : tuple of str
        What they are called in the study.
    input : str
        One of :data:`cmb_toolkit.model.INPUTS`, or the name of a method that needs no images.
    fold : str
    stages : int
        1, or 2 where stage 2 is trained as well.
    tables : tuple of int
        Tables of the paper that it is in.
    repeat : int
        Which training of the same, each with a seed of its own.
    """

    data: str
    resolutions: tuple[str, ...]
    input: str
    fold: str
    stages: int
    tables: tuple[int, ...]
    repeat: int = 1

    @property
    def name(self) -> str:
        """Of its folder."""
        return cell_name("+".join(self.resolutions), self.input, self.fold, self.repeat)

    @property
    def detector(self) -> Detector:
        """The method that finds its candidates."""
        return DETECTORS[method_of(self.input)]

    @property
    def steps(self) -> tuple[str, ...]:
        """Its steps, in order."""
        return (*self.detector.steps, *(_STAGE2 if self.stages == 2 else ()), "evaluate")


def list_cells(
    settings: Settings, participants: pd.DataFrame, folds: Sequence[str]
) -> tuple[list[PlannedCell], list[str]]:
    """Cells of the tables that are asked for, and notes on what the study has no subjects for.

    Parameters
    ----------
    settings : Settings
    participants : DataFrame
        participant_id, resolution, scanner, group.
    folds : sequence of str
        Names of the cross-validation's folds.

    Raises
    ------
    DataError
        If the study has no patient of either resolution, or not the fold or scanner that the settings name.
    """
    patients = participants[participants["group"] == "patient"]
    have = {data: name for data, name in settings.resolutions.items() if (patients["resolution"] == name).any()}
    if not have:
        found = ", ".join(sorted(set(patients["resolution"].astype(str)))) or "none"
        raise DataError(
            f"no patient of the resolutions {', '.join(settings.resolutions.values())} in the study; found {found}. "
            "Say in the settings' [resolutions] what HR and LR are called."
        )
    notes = [f"no {data} patients: left out of all tables" for data in DATA if data not in have]
    if settings.fold not in folds:
        raise DataError(
            f"fold {settings.fold} of Tables 2 and 3 is none of {', '.join(folds)}. Change [experiment] fold."
        )
    cells: list[PlannedCell] = []
    for table in settings.tables:
        if table == 2 and "HR" in have:
            cells += [_cell(have, "HR", name, settings.fold, 1, table) for name in INPUTS]
        elif table == 3:
            cells += [_cell(have, data, settings.input, settings.fold, 1, table) for data in have]
            if len(have) == 2:
                cells.append(_cell(have, BOTH, settings.input, settings.fold, 1, table))
        elif table in (4, 5, 6, 7):
            those = {5: ("HR",), 6: ("LR",)}.get(table, DATA)
            stages = 1 if table == 4 else 2
            cells += [
                _cell(have, data, settings.input, fold, stages, table)
                for data in those
                if data in have
                for fold in folds
            ]
        elif table == 8:
            for data, name in have.items():
                chosen = _scanner_fold(settings, patients[patients["resolution"] == name])
                if chosen is None:
                    notes.append(f"all {data} patients are of one scanner: left out of Table 8")
                else:
                    cells.append(_cell(have, data, settings.input, chosen, 2, table))
        elif table == 9:
            cells += [
                _cell(have, data, rival, fold, 1 if DETECTORS[rival].alone else 2, table)
                for rival in settings.rivals
                for data in have
                for fold in (folds if rival == FRST or settings.rival_folds == "all" else folds[:1])
            ]
    united = _united(cells)
    repeats = range(2, settings.repeats + 1)
    return [*united, *(replace(cell, repeat=repeat) for repeat in repeats for cell in united)], notes


def _cell(have: dict[str, str], data: str, input_name: str, fold: str, stages: int, table: int) -> PlannedCell:
    names = tuple(have[one] for one in data.split("+"))
    return PlannedCell(data, names, input_name, fold, stages, (table,))


def _scanner_fold(settings: Settings, patients: pd.DataFrame) -> str | None:
    """The fold of Table 8's training scanner: the one named, or the one with most patients of this resolution."""
    known = scanner_folds(patients["scanner"])
    if settings.scanner:
        if settings.scanner not in known:
            raise DataError(
                f"[experiment] scanner = {settings.scanner!r} is none of {', '.join(known)}. "
                "Name one of these, or leave it empty."
            )
        chosen = settings.scanner
    else:
        chosen = str(patients["scanner"].fillna("unknown").astype(str).value_counts().sort_index().idxmax())
    return known[chosen] if len(known) > 1 else None


def _united(cells: Iterable[PlannedCell]) -> list[PlannedCell]:
    """Each cell once, for all of its tables, in the order of the first."""
    united: dict[str, PlannedCell] = {}
    for cell in cells:
        old = united.get(cell.name, cell)
        tables = tuple(table for table in TABLES if table in (*old.tables, *cell.tables))
        united[cell.name] = replace(old, stages=max(old.stages, cell.stages), tables=tables)
    return list(united.values())


def is_scanner_fold(name: str) -> bool:
    """Whether a fold is one of :func:`cmb_toolkit.evaluation.folds.make_scanner_folds`."""
    return name.startswith(SCANNER_FOLD)
