"""`cmbtk import`: the authors' layout and tables of files become a study; what is wrong is named."""

import json
from pathlib import Path

import nibabel as nib
import numpy as np
import openpyxl
import pytest
from click.testing import CliRunner

from cmb_toolkit.cli.main import cli
from cmb_toolkit.errors import DataError, MissingError, UsageError
from cmb_toolkit.io.publish import read_record
from cmb_toolkit.io.tables import read_tsv, write_tsv
from cmb_toolkit.sources.authors import Authors
from cmb_toolkit.sources.names import guess_resolution
from cmb_toolkit.sources.table import Table
from cmb_toolkit.steps.check import check_study
from cmb_toolkit.steps.import_ import import_
from cmb_toolkit.study.cohort import read_microbleeds, read_participants
from cmb_toolkit.study.layout import Study
from cmb_toolkit.study.places import located

SHAPE = (6, 8, 4)
LPS = np.diag([-0.5, -0.5, 2.0, 1.0])


def quiet(done, total, what):
    pass


def import_authors(folder, out, *, on_progress, notes=None, problems=None, **options):
    return import_(Authors(**options), folder, out, on_progress=on_progress, notes=notes, problems=problems)


def import_table(table, out, *, on_progress, notes=None, problems=None, marks=(), **options):
    files = (marks,) if isinstance(marks, Path) else marks
    return import_(Table(marks=files, **options), table, out, on_progress=on_progress, notes=notes, problems=problems)


def volume(path, shape=SHAPE, affine=LPS, value=None):
    """A volume whose voxels are all different, or hold one value in one place."""
    path.parent.mkdir(parents=True, exist_ok=True)
    data = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
    nib.save(nib.Nifti1Image(data, affine), path)
    return path


def labels(path, rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    book = openpyxl.Workbook()
    for row in rows:
        book.active.append(row)
    book.save(path)
    return path


@pytest.fixture
def authors(tmp_path):
    """Three subjects in the authors' layout: two with labels, one healthy."""
    root = tmp_path / "authors"
    for name in ("KIM", "LEE2", "LEE10"):
        for kind in ("SWI", "Phase", "Mag"):
            volume(root / "Data" / name / f"{kind}.nii.gz")
    labels(root / "Label" / "KIM.xlsx", [["slice", "x", "y"], [1, 1, 1], [4, 6, 8]])
    labels(root / "Label" / "LEE10.xlsx", [[2, 3, 5]])
    return root


def ids(study):
    return read_participants(study).index.tolist()


# -- authors ----------------------------------------------------------------------------------------------------


def test_the_authors_layout(authors, tmp_path):
    study = Study(import_authors(authors, tmp_path / "study", on_progress=quiet))
    participants = read_participants(study)
    assert participants.index.tolist() == ["sub-001", "sub-002", "sub-003"]
    assert participants["resolution"].unique().tolist() == ["HR"]
    assert participants["group"].tolist() == ["patient"] * 3
    assert located(study, participants.loc["sub-002", "phase"]).resolve() == authors / "Data" / "LEE2" / "Phase.nii.gz"
    marks = read_microbleeds(study)
    # x along the first axis, y along the second; the file's axes grow to the left and to posterior
    assert marks[["participant_id", "i", "j", "k"]].to_numpy().tolist() == [
        ["sub-001", 5, 7, 0],
        ["sub-001", 0, 0, 3],
        ["sub-003", 3, 3, 1],
    ]
    assert marks[["x_mm", "y_mm", "z_mm"]].to_numpy().tolist() == [[0, 0, 0], [-2.5, -3.5, 6], [-1, -2, 2]]
    assert json.loads(study.description.read_text())["BIDSVersion"]


def test_marks_point_at_the_labelled_voxel_of_the_file(authors, tmp_path):
    """End to end: the value of the file at (x, y, slice) is the canonical volume's at (i, j, k)."""
    study = Study(import_authors(authors, tmp_path / "study", on_progress=quiet))
    row = read_microbleeds(study).iloc[2]
    image = nib.load(located(study, read_participants(study).loc["sub-003", "swi"]))
    canonical = np.asarray(nib.as_closest_canonical(image).dataobj)
    assert canonical[row["i"], row["j"], row["k"]] == np.asarray(image.dataobj)[2, 4, 1]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"label_base": 0}, [2, 2, 2]),
        ({"label_axes": "array"}, [1, 5, 1]),
        ({"label_axes": "image"}, [3, 3, 1]),
    ],
)
def test_other_ways_of_counting(authors, tmp_path, options, expected):
    (authors / "Label" / "KIM.xlsx").unlink()
    study = Study(import_authors(authors, tmp_path / "study", on_progress=quiet, **options))
    assert read_microbleeds(study)[["i", "j", "k"]].to_numpy().tolist() == [expected]


def test_unmarked_subjects_may_be_controls(authors, tmp_path):
    study = Study(import_authors(authors, tmp_path / "study", unmarked="control", on_progress=quiet))
    assert read_participants(study)["group"].tolist() == ["patient", "control", "patient"]


def test_names_stay_out_of_the_study_unless_asked_for(authors, tmp_path):
    key = tmp_path / "key.tsv"
    study = Study(import_authors(authors, tmp_path / "study", key=key, on_progress=quiet))
    for path in study.root.rglob("*"):
        if path.is_file() and path != study.participants:  # which must say where the scans are
            assert "KIM" not in path.read_text(), path.name
            assert str(tmp_path) not in path.read_text(), path.name
    assert str(tmp_path) not in study.participants.read_text()
    assert read_tsv(key).to_numpy().tolist() == [["sub-001", "KIM"], ["sub-002", "LEE2"], ["sub-003", "LEE10"]]
    kept = Study(import_authors(authors, tmp_path / "kept", keep_names=True, on_progress=quiet))
    assert ids(kept) == ["sub-KIM", "sub-LEE2", "sub-LEE10"]


def test_names_that_cannot_be_kept(authors, tmp_path):
    (authors / "Data" / "KIM").rename(authors / "Data" / "KIM, J.")
    (authors / "Label" / "KIM.xlsx").rename(authors / "Label" / "KIM, J..xlsx")
    with pytest.raises(UsageError, match=r"--keep-names: KIM, J cannot be identifiers"):
        import_authors(authors, tmp_path / "study", keep_names=True, on_progress=quiet)
    study = Study(import_authors(authors, tmp_path / "study", on_progress=quiet))
    assert len(read_microbleeds(study)) == 3


def test_names_that_would_become_one(authors, tmp_path):
    volume(authors / "Data" / "sub-KIM" / "phase.nii")
    volume(authors / "Data" / "sub-KIM" / "mag.nii")
    with pytest.raises(UsageError, match="several subjects would be called sub-kim"):
        import_authors(authors, tmp_path / "study", keep_names=True, on_progress=quiet)


@pytest.mark.parametrize(
    "pattern",
    [
        "{name}/SWI.nii.gz",
        "{name}_{kind}.nii",
        "{kind}/{name}.nii.gz",
        "{name}/{kind}_Images/0001.nii.gz",
        "HR/{name}/{kind}.nii.gz",
        "{kind}/{name}/{name}_{kind}.nii",
        "{name}/SWI_{kind}.nii.gz",
        "batch 1/{name}/{kind}/img.nii.gz",
    ],
)
@pytest.mark.parametrize("kinds", [("swi", "pha", "mag"), ("SWI", "Phase", "Magnitude")])
def test_layouts_that_are_recognised(tmp_path, pattern, kinds):
    if "SWI.nii" in pattern:
        pattern = pattern.replace("SWI", "{kind}")
    for name in ("p1", "p2", "p3"):
        for kind in kinds:
            volume(tmp_path / "in" / "Data" / pattern.format(name=name, kind=kind))
    labels(tmp_path / "in" / "label" / "p1.xlsx", [[1, 1, 1]])
    labels(tmp_path / "in" / "label" / "P3_label.xlsx", [[1, 1, 1], [1, 2, 1]])
    study = Study(import_authors(tmp_path / "in", tmp_path / "study", on_progress=quiet))
    frame = read_participants(study)
    assert len(frame) == 3
    for subject, name in zip(frame.index, ("p1", "p2", "p3"), strict=True):
        for column, kind in zip(("swi", "phase", "magnitude"), kinds, strict=True):
            path = frame.loc[subject, column]
            assert name in path
            assert kind in path
    assert read_microbleeds(study)["participant_id"].tolist() == ["sub-001", "sub-003", "sub-003"]


def test_files_beside_the_three(authors, tmp_path):
    volume(authors / "Data" / "KIM" / "T1.nii.gz")
    volume(authors / "Data" / "KIM" / "mIP_SWI.nii.gz")
    volume(authors / "Data" / "KIM" / "brain_mask.nii.gz")
    (authors / "Data" / "KIM" / "._SWI.nii.gz").write_bytes(b"\x00\x05\x16\x07")
    (authors / "Label" / "~$KIM.xlsx").write_bytes(b"lock")
    result = CliRunner().invoke(cli, ["import", "authors", str(authors), "-o", str(tmp_path / "study")])
    assert result.exit_code == 0, result.output
    assert "2 volumes of no known kind" in result.output
    assert read_participants(Study(tmp_path / "study")).loc["sub-001", "mask"].endswith("KIM/brain_mask.nii.gz")


def test_swi_may_stand_for_the_magnitude(authors, tmp_path):
    (authors / "Data" / "KIM" / "Mag.nii.gz").unlink()
    study = Study(import_authors(authors, tmp_path / "study", on_progress=quiet))
    assert read_participants(study)["magnitude"].isna().tolist() == [True, False, False]


def refused(authors, tmp_path, error, *parts, **options):
    with pytest.raises(error) as caught:
        import_authors(authors, tmp_path / "study", on_progress=quiet, **options)
    for part in parts:
        assert part in str(caught.value)
    assert not (tmp_path / "study" / "participants.tsv").exists()
    return str(caught.value)


def test_not_the_authors_layout(authors, tmp_path):
    refused(tmp_path / "nowhere", tmp_path, MissingError, "nowhere: not found")
    refused(authors / "Data", tmp_path, MissingError, "no folder Data", "KIM", "cmbtk import table")
    for path in (authors / "Data").rglob("*.nii.gz"):
        path.rename(path.with_name("img_" + path.name[:3] + "x.nii.gz"))
    refused(authors, tmp_path, MissingError, "9 NIfTI files", "no file or folder name holds")
    for path in (authors / "Data").rglob("*.nii.gz"):
        path.unlink()
    refused(authors, tmp_path, MissingError, "holds no .nii")


def test_a_volume_is_missing(authors, tmp_path):
    (authors / "Data" / "KIM" / "Phase.nii.gz").unlink()
    (authors / "Data" / "LEE2" / "Mag.nii.gz").unlink()
    (authors / "Data" / "LEE2" / "SWI.nii.gz").unlink()
    refused(
        authors, tmp_path, MissingError,
        "subject KIM has no phase volume; found magnitude KIM/Mag.nii.gz, swi KIM/SWI.nii.gz",
        "subject LEE2 has no magnitude volume",
    )  # fmt: skip


def test_ambiguous_files(authors, tmp_path):
    volume(authors / "Data" / "KIM" / "phase2.nii.gz")
    volume(authors / "Data" / "LEE2" / "mag_phase.nii.gz")
    volume(authors / "Data" / "LEE2" / "KIM" / "LEE10_swi.nii.gz")
    refused(
        authors, tmp_path, DataError,
        "phase2.nii.gz: a second phase volume of KIM", "Phase.nii.gz as well",
        "mag_phase.nii.gz: its name speaks of magnitude and phase",
        "LEE10_swi.nii.gz: its name speaks of no one subject",
    )  # fmt: skip


def test_labels_of_nobody(authors, tmp_path):
    labels(authors / "Label" / "PARK.xlsx", [[1, 1, 1]])
    refused(authors, tmp_path, DataError, "PARK.xlsx: labels of PARK, but there is no volume of that name")


def test_two_label_files(authors, tmp_path):
    labels(authors / "Label" / "reader2" / "kim.xlsx", [[1, 1, 1]])
    refused(authors, tmp_path, DataError, "kim.xlsx: a second label file named kim")


def test_labels_that_cannot_be_read_are_all_named(authors, tmp_path):
    labels(authors / "Label" / "KIM.xlsx", [[1, 1, 1], ["?", 1, 1]])
    (authors / "Label" / "LEE10.xlsx").write_bytes(b"")
    message = refused(authors, tmp_path, DataError, "KIM.xlsx: sheet Sheet, row 2 holds '?', 1, 1")
    assert "LEE10.xlsx: not a readable" in message


@pytest.mark.parametrize("name", ["LEE2.csv", "LEE2.xls", "LEE2.ods", "LEE2.mat", "LEE2.txt", "all.tsv", "LEE2.nii.gz"])
def test_labels_of_other_kinds_are_named(authors, tmp_path, name):
    (authors / "Label" / name).write_text("slice,x,y")
    refused(authors, tmp_path, DataError, f"{name}: only .xlsx can be read", "save it as .xlsx", unmarked="control")
    (authors / "Label" / name).rename(authors / "Label" / "README.md")
    import_authors(authors, tmp_path / "study", unmarked="control", on_progress=quiet)


@pytest.mark.parametrize(
    "place", ["Data/LEE2/marks.csv", "LEE2.ods", "Labels_csv/LEE2.csv", "Data/LEE2/cmb_label.nii.gz"]
)
def test_nobody_is_a_control_whose_labels_lie_elsewhere(authors, tmp_path, place):
    (authors / place).parent.mkdir(exist_ok=True)
    (authors / place).write_text("slice,x,y")
    for unmarked in ("control", "read"):
        refused(authors, tmp_path, DataError, f"may hold labels: {place}", f"--unmarked {unmarked}", unmarked=unmarked)
    notes = []
    import_authors(authors, tmp_path / "study", notes=notes, on_progress=quiet)
    assert place in notes[0]
    result = CliRunner().invoke(cli, ["import", "authors", str(authors), "-o", str(tmp_path / "other")])
    assert f"Note: {authors}: not read, though it may hold labels: {place}" in result.output


def test_names_in_two_unicode_forms_are_one_subject(authors, tmp_path):
    for kind in ("SWI", "Phase", "Mag"):
        volume(authors / "Data" / kind / ("Mu\u0308ller.nii.gz" if kind == "SWI" else "M\u00fcller.nii.gz"))
    labels(authors / "Label" / "MU\u0308LLER.xlsx", [[1, 1, 1]])
    study = Study(import_authors(authors, tmp_path / "study", on_progress=quiet))
    assert len(ids(study)) == 4
    assert len(read_microbleeds(study)) == 4


def test_labels_outside_with_a_hint_how_they_may_count(authors, tmp_path):
    labels(authors / "Label" / "LEE10.xlsx", [[2, 3, 5], [2, 8, 3]])
    (authors / "Label" / "KIM.xlsx").unlink()
    message = refused(authors, tmp_path, DataError, "LEE10.xlsx: row 2 marks voxel (-2, 5, 1), outside", "6 x 8 x 4")
    assert message.endswith("with --label-base 1 --label-axes array.")
    labels(authors / "Label" / "LEE10.xlsx", [[0, 3, 5], [2, 5, 3]])
    assert "--label-base 0 --label-axes voxel" in refused(authors, tmp_path, DataError, "row 1 marks")
    labels(authors / "Label" / "LEE10.xlsx", [[200, 3, 5]])
    assert "All labels would" not in refused(authors, tmp_path, DataError, "row 1 marks")


def test_a_label_twice(authors, tmp_path):
    labels(authors / "Label" / "KIM.xlsx", [[1, 1, 1], [2, 1, 1], [1, 1, 1]])
    refused(authors, tmp_path, DataError, "KIM.xlsx: row 3 marks the same voxel as", "KIM.xlsx: row 1")


def test_volumes_that_do_not_agree_or_cannot_be_read(authors, tmp_path):
    volume(authors / "Data" / "KIM" / "Phase.nii.gz", shape=(6, 8, 5))
    volume(authors / "Data" / "LEE2" / "Phase.nii.gz", affine=np.diag([-0.5, -0.5, 2.1, 1]))
    (authors / "Data" / "LEE10" / "Phase.nii.gz").write_bytes(b"\x1f\x8b")
    refused(
        authors,
        tmp_path,
        DataError,
        "6 x 8 x 4 and 6 x 8 x 5 disagree",
        "their corners lie up to 0.15 voxels apart",
        "LEE10",
    )


@pytest.fixture
def mixed_orders(authors):
    """KIM's phase is stored RAS, his other volumes LPS."""
    path = authors / "Data" / "KIM" / "Phase.nii.gz"
    nib.save(nib.as_closest_canonical(nib.load(path)), authors / "Data" / "KIM" / "Phase.nii")
    path.unlink()
    return authors


def test_which_file_labels_count_on_must_be_said_where_it_matters(mixed_orders, tmp_path):
    message = refused(
        mixed_orders, tmp_path, DataError,
        "KIM.xlsx: the files store their axes in different orders (magnitude LPS, phase RAS, swi LPS)",
        "--marks-on magnitude|phase|swi",
    )  # fmt: skip
    assert "All labels would" not in message
    refused(mixed_orders, tmp_path, UsageError, "--marks-on mask: expected one of", marks_on="mask")
    expected = {"swi": [[5, 7, 0], [0, 0, 3]], "magnitude": [[5, 7, 0], [0, 0, 3]], "phase": [[0, 0, 0], [5, 7, 3]]}
    for on, voxels in expected.items():
        study = Study(import_authors(mixed_orders, tmp_path / on, marks_on=on, on_progress=quiet))
        marks = read_microbleeds(study)
        assert marks.loc[marks["participant_id"] == "sub-001", ["i", "j", "k"]].to_numpy().tolist() == voxels


def test_where_nothing_counts_voxels_of_files_the_order_does_not_matter(mixed_orders, tmp_path):
    import_authors(mixed_orders, tmp_path / "image", label_axes="image", on_progress=quiet)
    (mixed_orders / "Label" / "KIM.xlsx").unlink()
    import_authors(mixed_orders, tmp_path / "unlabelled", on_progress=quiet)


def test_one_bad_scan_does_not_keep_the_others_out(authors, tmp_path):
    bad = authors / "Data" / "KIM" / "Phase.nii.gz"
    good = bad.read_bytes()
    bad.write_bytes(b"# PAR")
    arguments = ["import", "authors", str(authors), "-o", str(tmp_path / "s"), "--unmarked", "control"]
    for _ in range(2):  # and it is said again
        done = CliRunner().invoke(cli, arguments)
        assert isinstance(done.exception, DataError)
        assert done.exception.exit_code == 5
        assert str(done.exception).startswith(f"sub-001: {bad}: not a NIfTI file")
        assert "left out of the study" in str(done.exception)
        assert "2 subjects" in done.output
    study = Study(tmp_path / "s")
    assert ids(study) == ["sub-002", "sub-003"]
    assert read_microbleeds(study)["participant_id"].tolist() == ["sub-003"]
    assert read_record(study.participants)["failed"] == ["sub-001"]
    told = [problem.message for problem in check_study(study.root, on_progress=quiet).problems]
    assert any("`cmbtk import` left out sub-001, whose scans could not be read" in message for message in told)
    bad.write_bytes(good)
    import_authors(authors, study.root, unmarked="control", on_progress=quiet)
    assert ids(study) == ["sub-001", "sub-002", "sub-003"]
    assert len(read_microbleeds(study)) == 3


def test_what_was_edited_stays_while_a_scan_is_bad(authors, tmp_path):
    (authors / "Data" / "KIM" / "Phase.nii.gz").write_bytes(b"# PAR")
    study = Study(tmp_path / "s")
    for _ in range(2):
        with pytest.raises(DataError, match="not a NIfTI file"):
            import_authors(authors, study.root, on_progress=quiet)
        edited = study.participants.read_text().replace("unknown", "Verio")
        study.participants.write_text(edited)
    assert read_participants(study)["scanner"].unique().tolist() == ["Verio"]
    (authors / "Data" / "KIM" / "Phase.nii.gz").unlink()
    with pytest.raises(MissingError):
        import_authors(authors, study.root, on_progress=quiet)


def test_a_bad_label_keeps_everybody_out_beside_a_bad_scan(authors, tmp_path):
    (authors / "Data" / "KIM" / "Phase.nii.gz").write_bytes(b"# PAR")
    labels(authors / "Label" / "LEE10.xlsx", [["?", 1, 1], [1, 1, 1]])
    refused(authors, tmp_path, DataError, "LEE10.xlsx: sheet Sheet, row 1 holds", "sub-001:", "not a NIfTI file")


def test_no_scan_can_be_read(authors, tmp_path):
    for path in (authors / "Data").rglob("Mag.nii.gz"):
        path.write_bytes(b"")
    refused(authors, tmp_path, DataError, "sub-001", "sub-002", "sub-003", "an empty one")


def test_many_problems_are_cut_short(authors, tmp_path):
    labels(authors / "Label" / "KIM.xlsx", [[n, 1, 1] for n in range(100, 150)])
    message = refused(authors, tmp_path, DataError, "... and 30 more problems like these.")
    assert len(message.splitlines()) == 21


# -- again ------------------------------------------------------------------------------------------------------


def test_again_is_done_and_keeps_what_was_filled_in_by_hand(authors, tmp_path):
    study = Study(import_authors(authors, tmp_path / "study", on_progress=quiet))
    filled = read_tsv(study.participants)
    filled["scanner"] = "Verio"
    write_tsv(filled, study.participants)
    import_authors(authors, study.root, on_progress=quiet)
    assert read_participants(study)["scanner"].unique().tolist() == ["Verio"]
    with pytest.raises(UsageError, match=r"participants\.tsv: was changed since it was imported"):
        import_authors(authors, study.root, label_axes="image", on_progress=quiet)
    assert read_participants(study)["scanner"].unique().tolist() == ["Verio"]


def test_again_with_other_options_or_data_replaces_an_untouched_import(authors, tmp_path):
    study = Study(import_authors(authors, tmp_path / "study", on_progress=quiet))
    before = study.microbleeds.read_text()
    labels(authors / "Label" / "LEE10.xlsx", [[2, 3, 4]])
    import_authors(authors, study.root, on_progress=quiet)
    assert study.microbleeds.read_text() != before
    labels(authors / "Label" / "LEE10.xlsx", [[200, 3, 4]])
    with pytest.raises(DataError):
        import_authors(authors, study.root, on_progress=quiet)
    assert len(read_microbleeds(study)) == 3, "what was there stays"


def test_a_foreign_study_is_not_replaced(authors, tmp_path):
    study = Study.create(tmp_path / "study", "x")
    study.participants.write_text("participant_id\n")
    with pytest.raises(UsageError, match="was made by hand"):
        import_authors(authors, study.root, on_progress=quiet)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "thesis.docx").write_text("")
    with pytest.raises(UsageError, match="not a study folder"):
        import_authors(authors, tmp_path / "other", on_progress=quiet)


def test_the_same_input_makes_the_same_tables(authors, tmp_path):
    one, two = (Study(import_authors(authors, tmp_path / name, on_progress=quiet)) for name in ("a", "b"))
    assert one.participants.read_bytes() == two.participants.read_bytes()
    assert one.microbleeds.read_bytes() == two.microbleeds.read_bytes()
    record = read_record(one.participants)
    assert record["step"] == "import"
    assert record["columns"]["echo_time_ms"] == "Echo time [ms]"


# -- table ------------------------------------------------------------------------------------------------------


@pytest.fixture
def table(tmp_path):
    folder = tmp_path / "scans"
    for n in (1, 2):
        volume(folder / f"m{n}.nii.gz", affine=np.diag([-0.8, -0.8, 2.0, 1]))
        volume(folder / f"p{n}.nii.gz", affine=np.diag([-0.8, -0.8, 2.0, 1]))
    path = folder / "scans.tsv"
    path.write_text(
        "participant_id\tname\tmagnitude\tphase\tscanner\tgroup\tphase_sign\tphase_range\techo_time_ms\n"
        "01\tKim\tm1.nii.gz\tp1.nii.gz\tVerio\tpatient\t-1\tradians\t20\n"
        "sub-02\tLee\tm2.nii.gz\tp2.nii.gz\tn/a\tn/a\tn/a\tn/a\tn/a\n"
    )
    return path


def marks_file(table, text):
    path = table.with_name("marks.tsv")
    path.write_text(text)
    return path


def test_a_table_of_files(table, tmp_path):
    marks = marks_file(table, "participant_id\ti\tj\tk\n01\t0\t0\t0\nsub-01\t5\t7\t3\n")
    study = Study(import_table(table, tmp_path / "study", marks=marks, on_progress=quiet))
    frame = read_participants(study)
    assert frame.index.tolist() == ["sub-01", "sub-02"]
    assert frame["resolution"].tolist() == ["LR", "LR"]
    assert frame["scanner"].tolist() == ["Verio", "unknown"]
    assert frame["group"].tolist() == ["patient", "patient"]
    assert frame.loc["sub-01", ["phase_sign", "phase_range", "echo_time_ms"]].tolist() == [-1, "radians", 20]
    assert frame.loc["sub-02", ["phase_sign", "phase_range", "echo_time_ms"]].isna().all()
    assert located(study, frame.loc["sub-01", "magnitude"]).resolve() == table.parent / "m1.nii.gz"
    assert read_microbleeds(study)[["i", "j", "k"]].to_numpy().tolist() == [[5, 7, 0], [0, 0, 3]]
    assert "Kim" not in study.participants.read_text()


def test_marks_by_world_position_equal_marks_by_voxel(table, tmp_path):
    by_voxel = Study(
        import_table(
            table, tmp_path / "a", marks=marks_file(table, "participant_id\ti\tj\tk\n01\t2\t3\t1\n"), label_base=1,
            on_progress=quiet,
        )
    )  # fmt: skip
    row = read_microbleeds(by_voxel).iloc[0]
    assert row[["x_mm", "y_mm", "z_mm"]].tolist() == pytest.approx([-0.8, -1.6, 0])
    world = "\t".join(str(row[f"{axis}_mm"] + 0.3) for axis in "xyz")
    marks = marks_file(table, f"participant_id\tx_mm\ty_mm\tz_mm\n01\t{world}\n")
    by_world = Study(import_table(table, tmp_path / "b", marks=marks, on_progress=quiet))
    assert by_world.microbleeds.read_bytes() == by_voxel.microbleeds.read_bytes()


def test_without_marks(table, tmp_path):
    result = CliRunner().invoke(cli, ["import", "table", str(table), "-o", str(tmp_path / "study")])
    assert result.exit_code == 0, result.output
    assert "2 subjects (2 LR), 0 of them controls, 0 microbleeds" in result.output
    assert "nobody has read the scans of 2 patients (sub-01, sub-02)" in result.output
    assert "columns not taken over: name" in result.output
    assert read_microbleeds(Study(tmp_path / "study")).empty


def test_marks_changed_import_again(table, tmp_path):
    marks = marks_file(table, "participant_id\ti\tj\tk\n01\t2\t3\t1\n")
    study = Study(import_table(table, tmp_path / "study", marks=marks, on_progress=quiet))
    marks_file(table, "participant_id\ti\tj\tk\n01\t2\t3\t2\n")
    import_table(table, study.root, marks=marks, on_progress=quiet)
    assert read_microbleeds(study)["k"].tolist() == [2]


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("01\tKim", "K.I.M.\tKim", "line 2: participant_id 'K.I.M.' is not letters and digits"),
        ("sub-02", "sub-01", "sub-01 stands in line 2 and 3"),
        ("\tpatient\t", "\tHealthy\t", "line 2: group is 'Healthy'; expected patient or control"),
        ("\t-1\t", "\t2\t", "line 2: phase_sign is 2.0; expected 1 or -1"),
        ("radians", "degrees", "line 2: phase_range is 'degrees'; expected radians, or"),
        ("\t-1\t", "\tTrue\t", "line 2: phase_sign is 'True'; expected 1 or -1"),
        ("radians", "inf", "line 2: phase_range is inf; expected radians, or"),
        ("\t20\n", "\t20,5\n", "line 2: echo_time_ms is '20,5'; expected a time"),
        ("\t20\n", "\t-3\n", "line 2: echo_time_ms is -3.0; expected a time"),
        ("p1.nii.gz", "n/a", "line 2: phase is 'n/a'; expected the path"),
        ("m2.nii.gz", "n/a", "line 3: magnitude is 'n/a'; expected the path"),
    ],
)
def test_bad_lines_are_named(table, tmp_path, old, new, expected):
    table.write_text(table.read_text().replace(old, new))
    with pytest.raises(DataError, match=r"scans\.tsv") as caught:
        import_table(table, tmp_path / "study", on_progress=quiet)
    assert expected in str(caught.value)
    assert not (tmp_path / "study").exists()


def test_initials_that_look_like_nothing(table, tmp_path):
    text = table.read_text().replace("01\tKim", "NA\tKim").replace("sub-02", "null").replace("Verio", "NA")
    table.write_text(text)
    marks = marks_file(table, "participant_id\ti\tj\tk\nNA\t0\t0\t0\nnull\t5\t7\t3\nnull\t5\t6\t3\n")
    study = Study(import_table(table, tmp_path / "study", marks=marks, on_progress=quiet))
    assert read_participants(study)["scanner"].to_dict() == {"sub-NA": "NA", "sub-null": "unknown"}
    assert read_microbleeds(study)["participant_id"].value_counts().to_dict() == {"sub-null": 2, "sub-NA": 1}


def test_paths_and_labels_in_another_unicode_form(table, tmp_path):
    (table.parent / "m1.nii.gz").rename(table.parent / "u\u0308.nii.gz")
    text = table.read_text().replace("m1.nii.gz", "\u00fc.nii.gz").replace("Verio", "Zu\u0308rich")
    table.write_text(text.replace("p2.nii.gz\tn/a", "p2.nii.gz\tZ\u00fcrich"))
    frame = read_participants(study := Study(import_table(table, tmp_path / "study", on_progress=quiet)))
    assert frame["scanner"].nunique() == 1
    assert located(study, frame.loc["sub-01", "magnitude"]).is_file()


def test_all_bad_lines_are_named_at_once(table, tmp_path):
    table.write_text(table.read_text().replace("\tpatient\t", "\tx\t").replace("sub-02", "a b"))
    with pytest.raises(DataError) as caught:
        import_table(table, tmp_path / "study", on_progress=quiet)
    assert len(str(caught.value).splitlines()) == 2


def test_which_file_marks_count_on(table, tmp_path):
    """The phase of sub-01 is stored RAS; world positions need no answer."""
    path = table.parent / "p1.nii.gz"
    nib.save(nib.as_closest_canonical(nib.load(path)), path)
    marks = marks_file(table, "participant_id\ti\tj\tk\n01\t1\t2\t3\n02\t1\t2\t3\n")
    with pytest.raises(DataError, match=r"sub-01: the files store .* \(magnitude LPS, phase RAS\).*--marks-on"):
        import_table(table, tmp_path / "study", marks=marks, on_progress=quiet)
    with pytest.raises(DataError, match="sub-01: the marks are said to count on the swi, and there is none; found"):
        import_table(table, tmp_path / "study", marks=marks, marks_on="swi", on_progress=quiet)
    for on, voxel in (("magnitude", [4, 5, 3]), ("phase", [1, 2, 3])):
        study = Study(import_table(table, tmp_path / on, marks=marks, marks_on=on, on_progress=quiet))
        assert read_microbleeds(study)[["i", "j", "k"]].to_numpy().tolist() == [voxel, [4, 5, 3]]
    lines = table.read_text().splitlines()
    table.write_text("\n".join(f"{a}\t{b}" for a, b in zip(lines, ("Marks_On", "phase", "n/a"), strict=True)))
    study = Study(import_table(table, tmp_path / "column", marks=marks, on_progress=quiet))
    assert read_microbleeds(study)[["i", "j", "k"]].to_numpy().tolist() == [[1, 2, 3], [4, 5, 3]]
    assert "marks_on" not in read_record(study.participants)["left_out"]
    table.write_text(table.read_text().replace("\tphase\n", "\tmask\n"))
    with pytest.raises(DataError, match="line 2: marks_on is 'mask'; expected magnitude"):
        import_table(table, tmp_path / "study", marks=marks, on_progress=quiet)
    table.write_text("\n".join(lines))
    world = marks_file(table, "participant_id\tx_mm\ty_mm\tz_mm\n01\t-0.8\t-1.6\t6\n")
    study = Study(import_table(table, tmp_path / "world", marks=world, on_progress=quiet))
    assert read_microbleeds(study)[["i", "j", "k"]].to_numpy().tolist() == [[4, 5, 3]]


def test_voxel_and_world_must_agree(table, tmp_path):
    """A study's own microbleeds.tsv counts canonical voxels, its files do not."""
    marks = marks_file(table, "participant_id\ti\tj\tk\n01\t1\t2\t3\n")
    study = Study(import_table(table, tmp_path / "a", marks=marks, on_progress=quiet))
    with pytest.raises(DataError, match=r"microbleeds\.tsv: line 2 has a voxel .* that lie 3 voxels apart"):
        import_table(table, tmp_path / "b", marks=study.microbleeds, on_progress=quiet)
    marks_file(table, "participant_id\ti\tj\tk\tx_mm\ty_mm\tz_mm\n01\t1\t2\t3\t-0.7\t-1.8\t6\n")
    import_table(table, tmp_path / "c", marks=marks, on_progress=quiet)


def test_columns_in_capitals_are_known(table, tmp_path):
    table.write_text(table.read_text().replace("phase_sign", "Phase_Sign").replace("participant_id", "Participant_ID"))
    frame = read_participants(Study(import_table(table, tmp_path / "study", on_progress=quiet)))
    assert frame.loc["sub-01", "phase_sign"] == -1


def test_one_bad_scan_of_a_table_does_not_keep_the_others_out(table, tmp_path):
    (table.parent / "p1.nii.gz").write_bytes(b"# PAR")
    marks = marks_file(table, "participant_id\ti\tj\tk\n01\t0\t0\t0\n02\t5\t7\t3\n")
    done = CliRunner().invoke(cli, ["import", "table", str(table), "--marks", str(marks), "-o", str(tmp_path / "s")])
    assert isinstance(done.exception, DataError)
    assert str(done.exception).startswith(f"sub-01: {table.parent}/p1.nii.gz: not a NIfTI file")
    study = Study(tmp_path / "s")
    assert ids(study) == ["sub-02"]
    assert read_microbleeds(study)["participant_id"].tolist() == ["sub-02"]


def test_a_file_is_missing(table, tmp_path):
    (table.parent / "p2.nii.gz").unlink()
    with pytest.raises(MissingError, match=r"p2\.nii\.gz: not found"):
        import_table(table, tmp_path / "study", on_progress=quiet)


def test_an_empty_table(table, tmp_path):
    table.write_text("participant_id\tmagnitude\tphase\n")
    with pytest.raises(DataError, match="holds no subject"):
        import_table(table, tmp_path / "study", on_progress=quiet)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("participant_id\ti\tj\tk\n03\t1\t1\t1\n", "marks of sub-03, who is not in scans.tsv"),
        (
            "participant_id\ti\tj\tk\n01\t6\t1\t1\n",
            "marks.tsv: line 2 marks voxel (-1, 6, 1), outside its volume of 6 x 8",
        ),
        ("participant_id\tx_mm\ty_mm\tz_mm\n01\t50\t0\t0\n", "line 2 marks voxel"),
        ("participant_id\ti\tj\tk\n01\t1\t1\t1\n02\t1\t1\t1\n01\t1\t1\t1\n", "line 4 marks the same voxel as"),
    ],
)
def test_bad_marks_are_named(table, tmp_path, text, expected):
    with pytest.raises(DataError) as caught:
        import_table(table, tmp_path / "study", marks=marks_file(table, text), on_progress=quiet)
    assert expected in str(caught.value)


def test_a_control_with_marks(table, tmp_path):
    table.write_text(table.read_text().replace("\tpatient\t", "\tcontrol\t"))
    marks = marks_file(table, "participant_id\ti\tj\tk\n01\t1\t1\t1\n")
    with pytest.raises(DataError, match="control sub-01 has marks"):
        import_table(table, tmp_path / "study", marks=marks, on_progress=quiet)


# -- small things -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("voxel", "name"),
    [
        ((0.5, 0.5, 2), "HR"),
        ((-0.8, 0.8, 2), "LR"),
        ((0.47, 0.52, 2.1), "HR"),
        ((2, 0.5, 0.5), "HR"),  # in another order of axes
        ((0.65, 0.65, 2), "other"),
        ((0.5, 0.5, 1), "other"),
        ((1, 1, 1), "other"),
    ],
)
def test_resolution_by_voxel_size(voxel, name):
    assert guess_resolution(np.diag([*voxel, 1])) == name


def test_command_line_of_authors(authors, tmp_path):
    arguments = ["import", "authors", str(authors), "-o", str(tmp_path / "s"), "--label-base", "1"]
    result = CliRunner().invoke(cli, [*arguments, "--unmarked", "control", "--resolution", "3T"])
    assert result.exit_code == 0, result.output
    assert "3 subjects (3 3T), 1 of them controls, 3 microbleeds" in result.output
    assert "Next: cmbtk check" in result.output
    bad = CliRunner().invoke(cli, [*arguments[:-2], "--resolution", "a/b"])
    assert bad.exit_code == 2
    assert "resolution 'a/b': expected letters" in bad.output


def test_complex_pairs_in_a_table(tmp_path):
    for name in ("re", "im", "mag", "pha"):
        volume(tmp_path / f"{name}.nii.gz")
    table = tmp_path / "scans.tsv"
    header = "participant_id\tmagnitude\tphase\treal\timaginary\n"
    table.write_text(header + "01\tn/a\tn/a\tre.nii.gz\tim.nii.gz\n02\tmag.nii.gz\tpha.nii.gz\tn/a\tn/a\n")
    study = Study(import_table(table, tmp_path / "study", on_progress=quiet))
    frame = read_participants(study)
    assert located(study, frame.loc["sub-01", "real"]).resolve() == tmp_path / "re.nii.gz"
    assert frame.loc["sub-01", ["magnitude", "phase"]].isna().all()
    table.write_text(header + "01\tmag.nii.gz\tn/a\tre.nii.gz\tn/a\n")
    with pytest.raises(DataError, match=r"imaginary is 'n/a'; (.|\n)*magnitude is 'mag\.nii\.gz'; expected n/a where"):
        import_table(table, tmp_path / "other", on_progress=quiet)


def test_tables_without_complex_pairs_have_no_columns_for_them(table, tmp_path):
    study = Study(import_table(table, tmp_path / "study", on_progress=quiet))
    assert not {"real", "imaginary"} & set(read_participants(study).columns)
