"""A new reader of marks is one file (tests/toys/toy_marks.py) and one line of the registry."""

import nibabel as nib
import numpy as np
import pytest

from cmb_toolkit.registry import load
from cmb_toolkit.sources.marks.registry import READERS
from cmb_toolkit.study.cohort import read_microbleeds
from cmb_toolkit.study.layout import Study


def test_its_line_is_enough_for_import(registered, tmp_path):
    run = registered(READERS, "toy", ("toy_marks:read", (".pts",)))
    for kind in ("mag", "phase"):
        data = np.arange(60, dtype=np.float32).reshape(4, 5, 3)
        nib.save(nib.Nifti1Image(data, np.eye(4)), tmp_path / f"{kind}.nii")
    (tmp_path / "scans.tsv").write_text("participant_id\tmagnitude\tphase\n1\tmag.nii\tphase.nii\n", "utf-8")
    (tmp_path / "sub-1.pts").write_text("1 2 1\n3 4 2\n", "utf-8")
    said = run("import", "table", tmp_path / "scans.tsv", "--marks", tmp_path / "sub-1.pts", "-o", tmp_path / "study")
    assert "toy points: 2 marks of 1 subject." in said
    marks = read_microbleeds(Study.open(tmp_path / "study"))
    assert marks[["i", "j", "k"]].to_numpy().tolist() == [[1, 2, 1], [3, 4, 2]]


@pytest.mark.parametrize("name", READERS)
def test_a_reader_is_where_its_line_says(name):
    place, endings = READERS[name]
    assert load(place).__doc__
    assert all(ending.startswith(".") for ending in endings)
