"""What is too little to choose by, and what is too near to be hit: sentences that stand beside the numbers."""

from __future__ import annotations

from ..wording import counted, plural

__all__ = ["LEAST_MICROBLEEDS", "LEAST_PERSONS", "chosen_on_few", "nearer_than_a_slice"]

LEAST_PERSONS = 3
LEAST_MICROBLEEDS = 10
"""With fewer persons or fewer microbleeds to choose by, another choice could have been as good."""


def chosen_on_few(what: str, persons: int, microbleeds: int) -> list[str]:
    """Say that something was chosen on too little.

    Parameters
    ----------
    what : str
        For example ``the threshold of stage 1``.
    persons, microbleeds : int
        Validation persons, and their microbleeds.
    """
    if persons >= LEAST_PERSONS and microbleeds >= LEAST_MICROBLEEDS:
        return []
    return [
        f"{what} was chosen on {persons} validation {plural(persons, 'person')} with "
        f"{counted(microbleeds, 'microbleed')}: on fewer than {LEAST_PERSONS} persons or {LEAST_MICROBLEEDS} "
        "microbleeds the choice is mostly chance"
    ]


def nearer_than_a_slice(distance_mm: float, slice_mm: float) -> list[str]:
    """Say that a hit has to be nearer than the next slice.

    Parameters
    ----------
    distance_mm : float
        Within which a candidate is a hit [mm].
    slice_mm : float
        From slice to slice [mm].
    """
    if distance_mm >= slice_mm * (1 - 1e-3):
        return []
    return [
        f"the hit distance of {distance_mm:g} mm is less than the {slice_mm:g} mm from slice to slice: a microbleed "
        "that is found one slice off counts as missed, and its candidate as false"
    ]
