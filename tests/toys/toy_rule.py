"""A hit rule that goes by slices alone."""

from dataclasses import dataclass

import numpy as np

from cmb_toolkit.evaluation.rules.base import Rule, numbers


@dataclass(frozen=True)
class SameSlice(Rule):
    """Whatever lies on the slice of a microbleed is a hit."""

    name = "same-slice"
    columns = ("k",)
    counts_duplicates = True

    @property
    def label(self):
        return "same-slice rule: on its slice"

    def closeness(self, candidates, truth):
        return (numbers(candidates, ["k"]) == numbers(truth, ["k"]).T).astype(np.float64)
