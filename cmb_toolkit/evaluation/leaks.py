"""Whether a person who is tested on was learned from: in training, in a threshold, or in the choice of a model."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
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
    """Where persons tested were looked for, without finding any.

    Attributes
    ----------
    searched : tuple of str
        Records and tables that say who was learned from.
    unknown : tuple of str
        What is used and nobody can say who it was learned from, such as weights from elsewhere.
    """

    searched: tuple[str, ...]
    unknown: tuple[str, ...] = ()

    @property
    def verdict(self) -> str:
        """Whether persons tested were learned from, as far as is known: ``none`` or ``unknown``."""
        return "unknown" if self.unknown else "none"


def check_leaks(
    tested: Iterable[str], uses: Sequence[Use], unknown: Sequence[str] = (), persons: Mapping[str, str] | None = None
) -> LeakCheck:
    """Refuse results on persons who were learned from, in whatever scan.

    Parameters
    ----------
    tested : iterable of str
        Subjects on whom results are to be reported.
    uses : sequence of Use
    unknown : sequence of str
        What could not be looked at.
    persons : mapping, optional
        Subject -> person; of others each is one of his own.

    Raises
    ------
    DataError
        Naming every such subject, what it was used for and the file that says so.
    """
    of = dict(persons or {})
    own: dict[str, list[str]] = {}
    for subject in sorted(set(tested)):
        own.setdefault(of.get(subject, subject), []).append(subject)
    lines = []
    for use in uses:
        known = [
            subject if subject in own[person] else f"{subject} (the same person as {', '.join(own[person])})"
            for subject in sorted(set(use.subjects))
            if (person := of.get(subject, subject)) in own
        ]
        if known:
            lines.append(f"{use.record}: {', '.join(known)} used for {use.purpose}")
    if lines:
        raise DataError(
            "test subjects were learned from, so that nothing found on them says how the method does on new ones:\n"
            + "\n".join(lines)
            + "\nMake the cell again from `cmbtk prepare-yolo` on, in an unchanged split."
        )
    return LeakCheck(tuple(dict.fromkeys(use.record for use in uses)), tuple(unknown))
