"""A study that is preprocessed, of three small scans with two microbleeds each."""

import nibabel as nib
import numpy as np
import pandas as pd
import pytest

from cmb_toolkit.io.tables import write_tsv
from cmb_toolkit.study.layout import Study

SHAPE, SPACING = (48, 40, 6), (0.8, 0.8, 2.0)
ROLES = {"sub-001": "train", "sub-002": "validation", "sub-003": "test"}
MARKS = [(16, 14, 2), (30, 24, 4)]


@pytest.fixture
def study(tmp_path):
    made = Study.create(tmp_path / "study", "by hand")
    affine = np.diag([*SPACING, 1.0])
    inside = np.zeros(SHAPE, bool)
    inside[4:44, 4:36] = True
    for n, subject in enumerate(ROLES):
        swi = np.random.default_rng(n).normal(300, 5, SHAPE)
        for i, j, k in MARKS:
            swi[i - 1 : i + 2, j - 1 : j + 2, k] = 60
        made.subject(subject).mkdir()
        for path, data in (
            (made.swi(subject), swi * inside),
            (made.phase(subject), (swi - 300) / 100),
            (made.mask(subject), inside),
        ):
            nib.save(nib.Nifti1Image(data.astype(np.float32), affine), path)
    people = pd.DataFrame({"participant_id": list(ROLES), "resolution": "HR", "scanner": "a", "group": "patient"})
    write_tsv(people, made.participants)
    marks = pd.DataFrame([(s, *m) for s in ROLES for m in MARKS], columns=["participant_id", "i", "j", "k"])
    for axis, size in zip("ijk", SPACING, strict=True):
        marks[{"i": "x_mm", "j": "y_mm", "k": "z_mm"}[axis]] = marks[axis] * size
    write_tsv(marks, made.microbleeds)
    folds = [(fold, subject, role) for fold in "12" for subject, role in ROLES.items()]
    write_tsv(pd.DataFrame(folds, columns=["fold", "participant_id", "role"]), made.folds)
    return made
