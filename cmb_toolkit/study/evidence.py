"""Whether a study has enough to choose by: persons, marks and slices for :mod:`cmb_toolkit.evaluation.evidence`."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..evaluation.evidence import chosen_on_few, nearer_than_a_slice
from .cohort import read_microbleeds, read_participants
from .geometry import read_geometry
from .layout import Study
from .persons import person_of

__all__ = ["hit_distance", "validated"]


def validated(study: Study, what: str, subjects: Sequence[str]) -> list[str]:
    """Say that what was chosen on these validation subjects was chosen on too little."""
    participants = read_participants(study)
    persons = dict(zip(participants["participant_id"], participants["person_id"], strict=True))
    marks = read_microbleeds(study)["participant_id"].isin(list(subjects)).sum()
    return chosen_on_few(what, len({persons.get(name, person_of(name)) for name in subjects}), int(marks))


def hit_distance(study: Study, distance_mm: float, subjects: Sequence[str]) -> list[str]:
    """Say that the hit distance is below the slice distance of one of these subjects."""
    here = [name for name in subjects if study.swi(name).is_file()]
    thick = [float(np.linalg.norm(read_geometry(study, name).affine[:3, 2])) for name in here]
    return nearer_than_a_slice(distance_mm, round(max(thick), 3)) if thick else []
