"""Scans of one person stay known as such when they are imported; and who was not read is said."""

import nibabel as nib
import numpy as np
import openpyxl
import pandas as pd
import pytest
from click.testing import CliRunner

from cmb_toolkit.cli.main import cli
from cmb_toolkit.errors import DataError
from cmb_toolkit.io.tables import read_tsv
from cmb_toolkit.sources.authors import Authors
from cmb_toolkit.sources.names import numbered
from cmb_toolkit.sources.table import Table
from cmb_toolkit.steps.import_ import import_
from cmb_toolkit.study.cohort import read_microbleeds, read_participants, unread_in
from cmb_toolkit.study.layout import Study


def quiet(done, total, what):
    pass


def volume(path, value=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    data = np.arange(6 * 8 * 4, dtype=np.float32).reshape(6, 8, 4) + value
    nib.save(nib.Nifti1Image(data, np.diag([0.8, 0.8, 2, 1])), path)


@pytest.fixture
def write(tmp_path):
    """Writes a table of scans and one of marks, all of the same volumes."""
    volume(tmp_path / "mag.nii.gz")
    volume(tmp_path / "pha.nii.gz", 1)

    def make(people, marks=()):
        frame = pd.DataFrame(people).assign(magnitude="mag.nii.gz", phase="pha.nii.gz")
        frame.to_csv(tmp_path / "scans.tsv", sep="\t", index=False, na_rep="n/a")
        points = pd.DataFrame(marks or {"participant_id": []}).assign(i=range(len(marks)), j=1, k=1)
        points.to_csv(tmp_path / "marks.tsv", sep="\t", index=False, na_rep="n/a")
        return tmp_path / "scans.tsv", tmp_path / "marks.tsv", tmp_path / "study"

    return make


def imported(files, notes=None, **options):
    table, marks, out = files
    return Study(import_(Table(marks=(marks,), **options), table, out, on_progress=quiet, notes=notes))


def rows(*names, **columns):
    return [{"participant_id": name} | {c: values[n] for c, values in columns.items()} for n, name in enumerate(names)]


def test_names_of_sessions(write):
    files = write(rows("sub-01_ses-1", "01_ses-2", "02"), rows("sub-01_ses-1", "sub-01_ses-2", "sub-02"))
    study = imported(files)
    people = read_tsv(study.participants)
    assert people["participant_id"].tolist() == ["sub-01_ses-1", "sub-01_ses-2", "sub-02"]
    assert people["person_id"].tolist() == ["sub-01", "sub-01", "sub-02"]
    assert people["session_id"].tolist()[:2] == ["1", "2"]
    assert "read" not in people
    shown = CliRunner().invoke(cli, ["import", "table", str(files[0]), "--marks", str(files[1]), "-o", str(files[2])])
    assert "these are 2 persons; no fold will have one in two sets" in shown.output


def test_one_participant_on_a_line_for_each_session(write):
    files = write(
        rows("01", "01", "02", session_id=["A", "ses-B", None]),
        rows("01", "sub-01_ses-B", "02", session_id=["A", None, None]),
    )
    study = imported(files)
    assert list(read_participants(study).index) == ["sub-01_ses-A", "sub-01_ses-B", "sub-02"]
    assert read_microbleeds(study)["participant_id"].tolist() == ["sub-01_ses-A", "sub-01_ses-B", "sub-02"]
    files = write(rows("01", "01", session_id=["A", "B"]), rows("01"))
    with pytest.raises(
        DataError, match=r"marks of sub-01, of whom scans\.tsv has several scans \(sub-01_ses-A, sub-01"
    ):
        imported(files)
    with pytest.raises(DataError, match=r"sub-01 stands in line 2 and 3.*a column session_id, or one person_id"):
        imported(write(rows("01", "01"), rows("01")))


def test_a_person_in_two_resolutions_by_column(write):
    study = imported(write(rows("a", "b", "c", person_id=["7", "sub-7", None], resolution=["HR", "LR", "LR"])))
    assert read_participants(study)["person_id"].tolist() == ["sub-7", "sub-7", "sub-c"]
    assert "session_id" not in read_tsv(study.participants)
    with pytest.raises(DataError, match=r"scans\.tsv: .*person 'a b': expected"):
        imported(write(rows("a", person_id=["a b"])))
    with pytest.raises(DataError, match=r"scans\.tsv: .*by their names they are scans of one person"):
        imported(write(rows("a_ses-1", "a_ses-2", person_id=["x", "y"])))


@pytest.mark.parametrize(
    ("names", "column", "values", "told"),
    [
        (["p1s1", "p1s2", "p2s1"], "person", ["p1", "p1", "p2"], "sub-p1s1, sub-p1s2"),
        (["x1", "x2", "x3"], "Patient_ID", ["A", "B", "A"], "sub-x1, sub-x3"),
        (["x1", "x2", "x3"], "Subject", ["A", "A", None], "sub-x1, sub-x2"),
        (["p1s1", "p1s2", "p2s1"], "Kennung", ["P1", "p1", "p2"], ""),  # no word for a person, and no value twice
        (["p1s1", "p1s2", "p2s1"], "Kennung", ["p1", "p1", "p2"], "sub-p1s1, sub-p1s2"),
        (["p1", "p2", "p3"], "person", ["a", "b", "c"], ""),
        (["1_ses-1", "1_ses-2", "2"], "person", ["a", "a", "b"], ""),
        (["p1", "p2", "p3"], "sex", ["f", "f", "m"], ""),
        (["p1", "p2", "p3"], "site", ["p", "p", "p"], ""),
    ],
)
def test_columns_that_seem_to_name_persons_are_named(write, names, column, values, told):
    notes = []
    files = write(rows(*names, **{column: values}), rows(*names))
    imported(files, notes=notes)
    if told:
        assert (
            f"column {column!r}, which is not taken over, seems to say that 1 person has several scans ({told})"
            in notes[-1]
        )
        shown = CliRunner().invoke(cli, ["import", "table", str(files[0]), "-o", str(files[2].with_name("other"))])
        assert "Warning: " in shown.output
        assert "Scans of the same person under different names" in shown.output
    else:
        assert all(note.startswith("Marks: ") for note in notes)


def test_who_has_no_mark_was_not_read_unless_somebody_says_so(write):
    people = rows("a", "b", "c", "d", group=["patient", None, "control", None], read=["yes", None, None, None])
    study = imported(write(people, rows("d")))
    assert read_tsv(study.participants)["read"].fillna("").tolist() == ["yes", "", "", ""]
    assert unread_in(study) == ["sub-b"]
    study = imported(write(people, rows("d")), unmarked="read")
    assert read_tsv(study.participants)["read"].fillna("").tolist() == ["yes", "yes", "", ""]
    study = imported(write(people, rows("d")), unmarked="control")
    assert read_participants(study)["group"].tolist() == ["patient", "control", "control", "patient"]
    assert unread_in(study) == []
    study = imported(write(rows("a", "b", read=["no", None]), rows("a", "b")))
    assert unread_in(study) == ["sub-a"]
    with pytest.raises(DataError, match="read is 'perhaps'; expected yes"):
        imported(write(rows("a", read=["perhaps"])))


def test_the_command_says_who_was_not_read(write):
    table, marks, out = write(rows("a", "b"), rows("a"))
    arguments = ["import", "table", str(table), "--marks", str(marks), "-o", str(out)]
    said = CliRunner().invoke(cli, arguments).output
    assert "Warning: nobody has read the scans of 1 patient (sub-b)" in said
    assert "nobody has read" not in CliRunner().invoke(cli, [*arguments, "--unmarked", "read"]).output


# --- the authors' layout ---------------------------------------------------------------------------------------------


def test_an_empty_sheet_was_read_and_no_sheet_was_not(tmp_path):
    for name in ("A", "B", "C"):
        for n, kind in enumerate(("Phase", "Mag")):
            volume(tmp_path / "Data" / name / f"{kind}.nii.gz", n)
    for name, marks in (("A", [[1, 1, 1]]), ("B", [])):
        book = openpyxl.Workbook()
        for row in [["slice", "x", "y"], *marks]:
            book.active.append(row)
        (tmp_path / "Label").mkdir(exist_ok=True)
        book.save(tmp_path / "Label" / f"{name}.xlsx")
    study = Study(import_(Authors(), tmp_path, tmp_path / "study", on_progress=quiet))
    assert read_participants(study)["group"].tolist() == ["patient"] * 3
    assert unread_in(study) == ["sub-003"]
    study = Study(import_(Authors(unmarked="read"), tmp_path, tmp_path / "study", on_progress=quiet))
    assert unread_in(study) == []
    study = Study(import_(Authors(unmarked="control"), tmp_path, tmp_path / "study", on_progress=quiet))
    assert read_participants(study)["group"].tolist() == ["patient", "control", "control"]


def test_sessions_of_a_person_stay_together_when_names_are_replaced():
    names = ["KIM_ses-20190301", "KIM_ses-20210704", "LEE", "sub-9_ses-1"]
    assert list(numbered(names).values()) == ["sub-001_ses-1", "sub-001_ses-2", "sub-002", "sub-003_ses-1"]
    assert list(numbered(["B", "A"]).values()) == ["sub-001", "sub-002"]
