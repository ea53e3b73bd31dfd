"""Whether a subject that is tested on was learned from: in training, in a threshold, or in the choice of a model."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ..errors import DataError

__all__ = ["LeakCheck", "Use", "check_leaks"]


@dataclass(frozen=True)
class Use:
    """Subjects that something was learned from.

    Attributes
    ----------
    record : str
        The file that says so.
    purpose : str
        What they were used for, for example ``training of stage 1``.
    subjects : tuple of str
    """

    record: str
    purpose: str
    subjects: tuple[str, ...]


@dataclass(frozen=True)
class LeakCheck:
    """Where test subjects were looked for, without finding any.

    Attributes
    ----------
    searched : tuple of str
        Records and tables that say who was learned from.
    unknown : tuple of str
        What is used and nobody can say who it was learned from, such as weights from elsewhere.
    """

    searched: tuple[str, ...]
    unknown: tuple[str, ...] = ()


def check_leaks(tested: Iterable[str], uses: Sequence[Use], unknown: Sequence[str] = ()) -> LeakCheck:
    """Refuse results on subjects that were learned from.

    Parameters
    ----------
    tested : iterable of str
        Subjects on whom results are to be reported.
    uses : sequence of Use
    unknown : sequence of str
        What could not be looked at.

    Raises
    ------
    DataError
        Naming every such subject, what it was used for and the file that says so.
    """
    own = set(tested)
    found = [(use, sorted(own & set(use.subjects))) for use in uses]
    lines = [f"{use.record}: {', '.join(names)} used for {use.purpose}" for use, names in found if names]
    if lines:
        raise DataError(
            "test subjects were learned from, so that nothing found on them says how the method does on new ones:\n"
            + "\n".join(lines)
            + "\nMake the cell again from `cmbtk prepare-yolo` on, in an unchanged split."
        )
    return LeakCheck(tuple(dict.fromkeys(use.record for use in uses)), tuple(unknown))
