"""Findings as a detector that has learned would have made them."""

import numpy as np
import pandas as pd


def as_learned(study, cell):
    """Findings of a detector that sees every microbleed and little else."""
    marks = pd.read_csv(study.microbleeds, sep="\t")
    found = pd.read_csv(cell.findings, sep="\t", na_values="n/a")
    places, names = found[["x_mm", "y_mm", "z_mm"]].to_numpy(), found["participant_id"]
    rng = np.random.default_rng(0)
    found["probability"] = rng.uniform(0.001, 0.05, len(found)).round(4)
    for mark in marks.itertuples():
        mine = np.flatnonzero((names == mark.participant_id) & (found["probability"] < 0.1))
        if len(mine):
            place = (mark.x_mm, mark.y_mm, mark.z_mm)
            nearest = mine[np.linalg.norm(places[mine] - place, axis=1).argmin()]
            found.loc[nearest, ["x_mm", "y_mm", "z_mm"]] = place
            found.loc[nearest, "probability"] = 0.9  # alike: a threshold is that of the faintest on validation subjects
    found.to_csv(cell.findings, sep="\t", index=False, na_rep="n/a")
