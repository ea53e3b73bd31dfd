"""`cmbtk check`: every kind of bad input is named, with what to do; a sound study passes."""

import gzip
import json

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from cmb_toolkit.cli.main import cli
from cmb_toolkit.errors import DataError, MissingError, UsageError
from cmb_toolkit.imaging.recipe import Reading
from cmb_toolkit.io.tables import read_tsv, write_tsv
from cmb_toolkit.steps.check import check_scan, check_study
from cmb_toolkit.study.layout import Study
from cmb_toolkit.study.scan import Scan

SHAPE = (40, 48, 6)
AFFINE = np.diag([-0.8, -0.8, 2.0, 1.0])
AFFINE[:3, 3] = (15, 20, -5)


def quiet(done, total, what):
    pass


def save(path, data, affine=AFFINE, dtype=np.float32):
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(nib.Nifti1Image(np.asarray(data, dtype), affine), path)
    return path


def phase_values(rng):
    values = rng.uniform(-np.pi, np.pi, SHAPE)
    values.flat[:2] = -np.pi, np.pi
    return values


@pytest.fixture
def study(tmp_path):
    """Four patients with three marked dark spots each and a control, LPS files."""
    study = Study.create(tmp_path / "study", "x")
    rng = np.random.default_rng(0)
    rows, marks = [], []
    for n in range(1, 6):
        name = f"sub-{n:03d}"
        magnitude = 500 + 20 * rng.standard_normal(SHAPE)
        for m in range(3 if n < 5 else 0):
            i, j, k = 8 + 10 * m, 12 + 5 * n, m + 1
            magnitude[SHAPE[0] - 1 - i, SHAPE[1] - 1 - j, k] = 50  # i, j grow against the file's axes
            canonical = np.diag([0.8, 0.8, 2.0, 1.0])
            canonical[:3, 3] = AFFINE[:3, 3] - 0.8 * np.array([39, 47, 0])
            marks.append((name, i, j, k, *(canonical @ [i, j, k, 1])[:3]))
        save(study.scans / name / "mag.nii.gz", magnitude)
        save(study.scans / name / "phase.nii.gz", phase_values(rng))
        rows.append(
            {
                "participant_id": name,
                "resolution": "LR",
                "scanner": "Verio",
                "group": "patient" if n < 5 else "control",
                "magnitude": f"scans/{name}/mag.nii.gz",
                "phase": f"scans/{name}/phase.nii.gz",
                "mask": None,
                "phase_range": None,
            }
        )
    write_tsv(pd.DataFrame(rows), study.participants)
    columns = ["participant_id", "i", "j", "k", "x_mm", "y_mm", "z_mm"]
    write_tsv(pd.DataFrame(marks, columns=columns), study.microbleeds)
    return study


def magnitude_of(study, subject):
    return study.scans / subject / "mag.nii.gz"


def phase_of(study, subject):
    return study.scans / subject / "phase.nii.gz"


def edit(path, change):
    """Change a table through a function of its frame."""
    frame = read_tsv(path)
    changed = change(frame)
    write_tsv(frame if changed is None else changed, path)


def set_cell(row, column, value):
    def change(frame):
        frame[column] = frame[column].astype(object)
        frame.loc[row, column] = value

    return change


def check(study, jobs=1, **options):
    return check_study(study.root, Reading(**options), jobs=jobs, on_progress=quiet)


def found(report, severity, *parts):
    """The one problem that holds all parts."""
    hits = [p for p in report.problems if p.severity == severity and all(part in p.message for part in parts)]
    assert len(hits) == 1, [p.message for p in report.problems]
    return hits[0]


def test_a_sound_study(study):
    report = check(study)
    assert report.problems == ()
    assert report.exit_code == 0
    assert [scan.shape for scan in report.scans] == [SHAPE] * 5
    assert [scan.axes for scan in report.scans] == ["LPS"] * 5
    assert [(len(scan.marks.voxels), scan.marks.dark) for scan in report.scans] == [(3, 3)] * 4 + [(0, 0)]
    assert report.scans[0].phase_unit == "radians, -pi..pi"
    assert report.scans[0].voxel_mm == (0.8, 0.8, 2.0)


def test_workers_find_the_same(study):
    magnitude_of(study, "sub-002").write_bytes(b"")
    alone, together = check(study), check(study, jobs=2)
    assert alone.problems == together.problems
    assert alone.scans == together.scans


# -- volumes ----------------------------------------------------------------------------------------------------


def test_truncated_gz(study):
    path = magnitude_of(study, "sub-002")
    path.write_bytes(path.read_bytes()[:-3000])
    report = check(study)
    found(report, "error", str(path), "damaged or cut short", "again")
    assert report.exit_code == 5
    assert report.scans[1].phase_unit, "the phase was looked at all the same"


def test_missing_files(study):
    magnitude_of(study, "sub-001").unlink()
    phase_of(study, "sub-003").unlink()
    report = check(study)
    assert found(report, "error", str(magnitude_of(study, "sub-001")), "not found").missing
    assert found(report, "error", str(phase_of(study, "sub-003")), "not found").missing
    assert report.exit_code == 3
    phase_of(study, "sub-004").write_bytes(b"")
    assert check(study).exit_code == 5, "missing and damaged files together are bad data"


def test_nan_constant_and_four_dimensions(study):
    rng = np.random.default_rng(1)
    save(magnitude_of(study, "sub-001"), np.full(SHAPE, 7))
    save(magnitude_of(study, "sub-002"), np.full(SHAPE, np.nan))
    save(magnitude_of(study, "sub-003"), rng.uniform(1, 2, (*SHAPE, 2)))
    some = rng.uniform(1, 2, SHAPE)
    some[0, 0] = np.nan
    save(magnitude_of(study, "sub-004"), some)
    report = check(study)
    found(report, "error", "sub-001", "every voxel is 7")
    found(report, "error", "sub-002", "NaN")
    found(report, "error", "sub-003", "4 dimensions", "--echo N, 1 to 2")
    found(report, "warning", "sub-004", "NaN or infinite")
    assert "--echo" not in str([p.message for p in check(study, echo=1).problems if "4 dimensions" in p.message])


def test_shapes_and_affines_that_disagree(study):
    rng = np.random.default_rng(1)
    save(phase_of(study, "sub-001"), rng.uniform(-3.14, 3.14, (40, 48, 7)))
    save(phase_of(study, "sub-002"), phase_values(rng), AFFINE + np.diag([0, 0, 0.1, 0]))
    report = check(study)
    found(report, "error", "sub-001", "shapes", "disagree")
    found(report, "error", "sub-002", "voxels apart")


def test_phase_in_unknown_units(study):
    rng = np.random.default_rng(1)
    save(phase_of(study, "sub-001"), 777 * phase_values(rng) / np.pi)
    report = check(study)
    message = found(report, "error", str(phase_of(study, "sub-001"))).message
    assert "--phase-range 1554" in message
    edit(study.participants, set_cell(0, "phase_range", 1554))
    assert check(study).problems == ()
    edit(study.participants, set_cell(0, "phase_range", "degrees"))
    found(check(study), "error", "phase_range", "'degrees'")
    edit(study.participants, set_cell(0, "phase_range", None))
    save(phase_of(study, "sub-001"), phase_values(rng))
    assert not check(study, phase_range="radians").errors


def test_one_file_as_magnitude_and_phase(study):
    edit(study.participants, set_cell(0, "phase", "scans/sub-001/mag.nii.gz"))
    report = check(study)
    found(report, "error", "sub-001", "magnitude and phase hold the same values")
    edit(study.participants, set_cell(0, "magnitude", "scans/sub-001/phase.nii.gz"))
    found(check(study), "error", "sub-001", "50% of its values are negative", "Is it the phase?")


def test_no_nifti_and_sagittal(study):
    magnitude_of(study, "sub-001").write_bytes(gzip.compress(b"not an image" * 100))
    save(magnitude_of(study, "sub-002"), np.random.default_rng(1).uniform(1, 2, SHAPE), np.diag([2.0, 0.5, 0.5, 1]))
    report = check(study)
    found(report, "error", str(magnitude_of(study, "sub-001")), "not a NIfTI file")
    found(report, "error", str(magnitude_of(study, "sub-002")), "sagittal")


def test_header_texts_are_never_shown(study):
    """Descriptions may hold names; only numbers of a header are reported."""
    for subject in ("sub-001", "sub-002"):
        image = nib.load(magnitude_of(study, subject))
        image.header["descrip"] = b"DOE^JANE 1950-01-02"
        image.header["db_name"] = b"DOE^JANE"
        nib.save(image, magnitude_of(study, subject))
    phase_of(study, "sub-001").write_bytes(b"")
    path = magnitude_of(study, "sub-002")
    path.write_bytes(path.read_bytes()[:-3000])
    result = CliRunner().invoke(cli, ["check", str(study.root), "-j", "1"])
    assert result.exit_code == 5
    assert "DOE" not in result.output


def test_what_follows_is_what_lacks(study):
    def advice(*options):
        said = CliRunner().invoke(cli, ["check", str(study.root), "--jobs", "1", *options])
        assert said.exit_code == 0, said.output
        return said.stdout.rstrip().splitlines()[-1]

    masks = [study.mask(f"sub-{n:03d}") for n in range(1, 6)]
    for mask in masks[:-1]:
        save(mask, np.ones(SHAPE), dtype=np.uint8)
    assert advice() == f"Next: cmbtk preprocess {study.root}"
    save(masks[-1], np.ones(SHAPE), dtype=np.uint8)
    assert advice().startswith(f"Next: cmbtk train {study.root} -o ")
    assert advice("--phase-range", "radians").startswith(f"Next: cmbtk preprocess {study.root} --phase-range ")


# -- masks ------------------------------------------------------------------------------------------------------


def test_masks(study):
    mask = np.zeros(SHAPE)
    mask[:, 24:] = 1  # anterior is at the file's first rows: marks lie on both sides
    save(study.scans / "sub-001" / "mask.nii.gz", mask, dtype=np.uint8)
    save(study.scans / "sub-002" / "mask.nii.gz", mask[:, :, 1:], dtype=np.uint8)
    save(study.scans / "sub-003" / "mask.nii.gz", 0 * mask, dtype=np.uint8)
    save(study.scans / "sub-005" / "mask.nii.gz", mask, dtype=np.uint8)
    for n in (0, 1, 2, 3, 4):
        edit(study.participants, set_cell(n, "mask", f"scans/sub-00{n + 1}/mask.nii.gz"))
    mask_only = save(study.scans / "sub-004" / "mask.nii.gz", mask, dtype=np.uint8)
    report = check(study)
    found(report, "error", "sub-002", "mask.nii.gz", "disagree")
    found(report, "error", "sub-003", "the mask is empty")
    found(report, "warning", str(mask_only), "lie outside the brain mask", "(8, 32, 1)")
    assert not [p for p in report.problems if p.subject in {"sub-001", "sub-005"}]


# -- marks ------------------------------------------------------------------------------------------------------


def test_marks_outside(study):
    edit(study.microbleeds, lambda f: f.__setitem__("k", f["k"] + 4))
    report = check(study)
    lines = [p.message for p in report.errors if "is outside the volume" in p.message]
    assert len(lines) == 8
    assert "microbleeds.tsv: line 3: mark (18, 17, 6) is outside the volume of sub-001, 40 x 48 x 6" in lines[0]


def test_marks_of_nobody_twice_and_of_a_control(study):
    def change(frame):
        frame.loc[0, "participant_id"] = "sub-099"
        frame.loc[2] = frame.loc[1]
        frame.loc[3, "participant_id"] = "sub-005"

    edit(study.microbleeds, change)
    report = check(study)
    found(report, "error", "line 2: marks of sub-099, who is not in participants.tsv")
    found(report, "error", "line 4: sub-001 is marked at (18, 17, 2) a second time")
    found(report, "error", "control sub-005 has marks")
    with_strangers = CliRunner().invoke(cli, ["check", str(study.root), "-j", "1"])
    assert with_strangers.exit_code == 5


def test_marks_that_are_no_voxels(study):
    edit(study.microbleeds, set_cell(0, "i", 8.5))
    found(check(study), "error", "line 2", "(8.5, 17, 1) is no voxel")
    edit(study.microbleeds, set_cell(0, "i", "x"))
    found(check(study), "error", "line 2: i is 'x'; expected a number")


def test_world_positions_of_another_grid(study):
    edit(study.microbleeds, lambda f: f.__setitem__("x_mm", f["x_mm"] + 3))
    report = check(study)
    assert len([p for p in report.errors if "3.8 voxels apart" in p.message]) == 12
    edit(study.microbleeds, lambda f: f.__setitem__("x_mm", np.nan))
    assert check(study).problems == (), "what is not known is not wrong"


def test_marks_that_are_not_dark(study):
    edit(study.microbleeds, lambda f: f.assign(i=39 - f["i"], x_mm=np.nan))
    report = check(study)
    message = found(report, "warning", "0 of 12 marks lie on dark spots").message
    assert "from the other end of the first axis 12 would" in message
    assert "less than once in a million times" in message
    assert report.exit_code == 0


def test_marks_that_are_not_dark_in_files_with_another_order_of_axes(study):
    """Labels counted along the wrong axes may fit the files of one scanner and not those of the other."""

    def flip(frame):
        late = frame["participant_id"] >= "sub-003"
        frame.loc[late, "i"] = 39 - frame.loc[late, "i"]
        frame["x_mm"] = np.nan
        return pd.concat([frame, *more], ignore_index=True)

    more = []
    for n, subject in enumerate(("sub-003", "sub-004")):
        for path in (magnitude_of(study, subject), phase_of(study, subject)):
            nib.save(nib.as_closest_canonical(nib.load(path)), path.with_suffix(""))
            path.unlink()
        edit(study.participants, set_cell(n + 2, "magnitude", f"scans/{subject}/mag.nii"))
        edit(study.participants, set_cell(n + 2, "phase", f"scans/{subject}/phase.nii"))
        more.append(pd.DataFrame({"participant_id": [subject], "i": [20], "j": [20 + n], "k": [0]}))
    edit(study.participants, lambda f: f.drop(index=4))
    image = nib.load(magnitude_of(study, "sub-001"))
    data = image.get_fdata()
    for m in range(18):  # more sound marks, so that nearly all are dark taken together
        data[SHAPE[0] - 1 - 3 - 7 * (m % 5), SHAPE[1] - 1 - 4 - 11 * (m // 5), 5] = 50
        row = {"participant_id": ["sub-001"], "i": [3 + 7 * (m % 5)], "j": [4 + 11 * (m // 5)], "k": [5]}
        more.append(pd.DataFrame(row))
    save(magnitude_of(study, "sub-001"), data)
    edit(study.microbleeds, flip)
    found(check(study), "warning", "0 of 8 marks of the files with axes RAS", "from the other end of the first axis")


def test_patients_without_marks(study):
    edit(study.microbleeds, lambda f: f[f["participant_id"] != "sub-002"])
    found(check(study), "warning", "1 of 4 patients have no mark (sub-002)", "column `read`")
    edit(study.participants, lambda f: f.assign(read=None))
    found(check(study), "warning", "nobody has read the scans of 1 of 4 patients (sub-002)", "excluded from folds")
    edit(study.participants, lambda f: f.assign(read="yes"))
    assert not [problem for problem in check(study).problems if "sub-002" in problem.message]


def test_scans_of_one_person(study):
    names = read_tsv(study.participants)["participant_id"].tolist()
    edit(study.participants, lambda f: f.assign(patient=["A", "A", *names[2:]]))
    found(check(study), "warning", "column 'patient', which is not taken over", f"{names[0]}, {names[1]}")
    edit(study.participants, lambda f: f.rename(columns={"patient": "person_id"}))
    assert not [problem for problem in check(study).problems if "person" in problem.message]
    roles = ["train", "test", *["train"] * (len(names) - 2)]
    folds = pd.DataFrame({"fold": "1", "participant_id": names, "role": roles})
    write_tsv(folds, study.folds)
    found(check(study), "error", "fold 1 has scans of one person in several sets", f"{names[0]} (train)")


def test_no_table_of_marks(study):
    study.microbleeds.unlink()
    report = check(study)
    assert found(report, "error", "microbleeds.tsv: not found").missing
    assert report.exit_code == 3


# -- participants -----------------------------------------------------------------------------------------------


def test_tables_that_cannot_be_used_at_all(study, tmp_path):
    with pytest.raises(MissingError, match="not a study folder"):
        check_study(tmp_path, on_progress=quiet)
    whole = read_tsv(study.participants)
    write_tsv(whole.iloc[:0], study.participants)
    with pytest.raises(DataError, match="holds no subject"):
        check(study)
    write_tsv(pd.concat([whole, whole.iloc[1:2]]), study.participants)
    with pytest.raises(DataError, match="'sub-002' stands more than once"):
        check(study)
    study.participants.unlink()
    with pytest.raises(MissingError, match=r"participants\.tsv: not found"):
        check(study)


@pytest.mark.parametrize(
    ("column", "value", "expected"),
    [
        ("participant_id", "Jane Doe", "subject 'Jane Doe': expected sub- and letters"),
        ("participant_id", "SUB-001", "subject 'SUB-001': expected sub-"),
        ("group", "healthy", "group of sub-002 is 'healthy'"),
        ("resolution", "a/b", "sub-002: resolution 'a/b': expected"),
        ("resolution", None, "sub-002: resolution (none): expected"),
        ("phase", None, "sub-002 needs a phase"),
    ],
)
def test_bad_values(study, column, value, expected):
    edit(study.participants, set_cell(1, column, value))
    found(check(study), "error", "participants.tsv", expected)


def test_identifiers_that_differ_in_capitals_only(study):
    edit(study.participants, set_cell(0, "participant_id", "sub-a1"))
    edit(study.participants, set_cell(1, "participant_id", "sub-A1"))
    found(check(study), "error", "sub-a1, sub-A1 differ only in capitals")


def test_one_scan_under_two_names(study):
    magnitude_of(study, "sub-003").write_bytes(magnitude_of(study, "sub-001").read_bytes())
    found(check(study), "error", "sub-001, sub-003 are the same scan")


def test_voxels_that_differ_within_a_resolution(study):
    rng = np.random.default_rng(3)
    other = np.diag([-0.5, -0.5, 2.0, 1.0])
    save(magnitude_of(study, "sub-005"), rng.uniform(1, 2, SHAPE), other)
    save(phase_of(study, "sub-005"), phase_values(rng), other)
    found(check(study), "warning", "resolution LR: sub-005", "0.8 x 0.8 x 2 mm")
    edit(study.participants, set_cell(4, "resolution", "HR"))
    assert check(study).problems == ()


# -- what is printed -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("length", [7, 20, 43])
def test_the_table_has_80_columns_and_the_rest_is_asked_for(study, length):
    name = "sub-" + "x" * (length - 4)
    for table in (study.participants, study.microbleeds):
        write_tsv(read_tsv(table, []).replace({"participant_id": {"sub-001": name}}), table)
    said = CliRunner().invoke(cli, ["check", str(study.root), "--jobs", "1"], env={"COLUMNS": "200"}).stdout
    head, *rows = said.split("\n\n")[0].splitlines()
    hidden = [rows.pop()] if rows[-1].startswith("Not shown") else []
    assert len(rows) == 5
    assert rows[0].split()[:2] == [name, "40x48x6"]
    assert all(len(line) <= 80 for line in (head, *rows, *hidden))
    assert hidden == {7: [], 20: ["Not shown, for want of room: axes (--wide)"]}.get(length, hidden)
    assert hidden or length < 20
    wide = CliRunner().invoke(cli, ["check", str(study.root), "--jobs", "1", "--wide"]).stdout.splitlines()
    assert wide[0].split() == ["subject", "voxels", "mm", "axes", "phase", "marks", "dark", "err", "warn"]
    assert wide[1].split()[:4] == [name, "40x48x6", "0.8x0.8x2", "LPS"]


# -- folds ------------------------------------------------------------------------------------------------------

GOOD_FOLDS = [
    (1, "sub-001", "test"), (1, "sub-002", "test"), (1, "sub-003", "validation"), (1, "sub-004", "train"),
    (1, "sub-005", "control"),
    (2, "sub-001", "train"), (2, "sub-002", "validation"), (2, "sub-003", "test"), (2, "sub-004", "test"),
    (2, "sub-005", "control"),
]  # fmt: skip


def write_folds(study, changes=(), drop=()):
    rows = [row for n, row in enumerate(GOOD_FOLDS) if n not in drop] + list(changes)
    write_tsv(pd.DataFrame(rows, columns=["fold", "participant_id", "role"]), study.folds)


def test_sound_folds(study):
    write_folds(study)
    assert check(study).problems == ()


@pytest.mark.parametrize(
    ("changes", "drop", "severity", "expected"),
    [
        ([(1, "sub-001", "train")], (), "error", "subject sub-001 stands twice, in both train and test"),
        ([(1, "sub-003", "tset")], (2,), "error", "role is 'tset'; expected train"),
        ([(1, "sub-077", "train")], (), "error", "sub-077 not in participants.tsv"),
        ([], (3,), "error", "sub-004 not in fold 1"),
        ([(2, "sub-001", "test")], (5,), "error", "sub-001 tested in more than one fold"),
        ([(1, "sub-001", "train")], (0,), "warning", "sub-001 tested in no fold"),
        ([(1, "sub-005", "train")], (4,), "error", "sub-005 in fold 1: role control and group control"),
        ([(1, "sub-004", "control")], (3,), "error", "sub-004 in fold 1: role control and group control"),
    ],
)
def test_bad_folds(study, changes, drop, severity, expected):
    write_folds(study, changes, drop)
    message = found(check(study), severity, "folds.tsv", expected).message
    assert "cmbtk split" in message or "Correct it" in message


def test_folds_that_are_no_table(study):
    study.folds.write_text("")
    found(check(study), "error", "folds.tsv: not a tab-separated table")


# -- one scan, command line -------------------------------------------------------------------------------------


def crop_like(tmp_path, offset=0.0):
    """Three echoes of magnitude, and of phase whose cycle is 0.007348 of the file's units, as some converters write."""
    rng = np.random.default_rng(2)
    phase = rng.uniform(-0.003674, 0.003674, (*SHAPE, 3))
    phase.reshape(-1, 3)[:2] = [[-0.003674] * 3, [0.003674] * 3]
    return (
        save(tmp_path / "mag.nii.gz", rng.uniform(1, 2, (*SHAPE, 3))),
        save(tmp_path / "phase.nii.gz", phase),
    )


def test_one_run_says_everything_to_pass(tmp_path):
    magnitude, phase = crop_like(tmp_path)
    arguments = ["check", "--magnitude", str(magnitude), "--phase", str(phase)]
    result = CliRunner().invoke(cli, arguments)
    assert result.exit_code == 5
    assert "mag.nii.gz: has 4 dimensions" in result.output
    assert "--echo N, 1 to 3" in result.output
    assert "--phase-range 0.007348" in result.output
    assert "3 errors" in result.output
    again = CliRunner().invoke(cli, [*arguments, "--echo", "2", "--phase-range", "0.007348"])
    assert again.exit_code == 0, again.output
    assert "no errors, no warnings" in again.output
    assert "0.007348 per cycle" in again.output


def test_echo_that_is_not_there(tmp_path):
    magnitude, phase = crop_like(tmp_path)
    report = check_scan(Scan("scan", phase, magnitude, phase_range=0.007348), Reading(echo=4), on_progress=quiet)
    assert len(report.errors) == 2
    assert "has no echo 4" in report.errors[0].message


def test_magnitude_and_phase_stacked_in_one_file(tmp_path):
    rng = np.random.default_rng(2)
    both = save(tmp_path / "both.nii.gz", np.stack([rng.uniform(1, 2, SHAPE), rng.uniform(-3, 3, SHAPE)], 3))
    arguments = ["check", "--magnitude", str(both), "--phase", str(both), "--phase-range", "radians", "--echo", "1"]
    assert CliRunner().invoke(cli, arguments).exit_code == 5, "the magnitude for both"
    right = CliRunner().invoke(cli, [*arguments, "--phase-volume", "2"])
    assert right.exit_code == 0, right.output
    assert CliRunner().invoke(cli, [*arguments, "--phase-volume", "3"]).exit_code == 5


def test_a_stack_in_a_study(study):
    table = pd.read_csv(study.participants, sep="\t")
    folder = study.root / "stacked"
    folder.mkdir()
    for row in table.itertuples():
        parts = [nib.load(study.root / path).get_fdata() for path in (row.magnitude, row.phase)]
        affine = nib.load(study.root / row.magnitude).affine
        nib.save(nib.Nifti1Image(np.stack(parts, 3), affine), folder / f"{row.participant_id}.nii.gz")
    stacks = [f"stacked/{name}.nii.gz" for name in table["participant_id"]]
    table.assign(magnitude=stacks, phase=stacks).to_csv(study.participants, sep="\t", index=False)
    assert CliRunner().invoke(cli, ["check", str(study.root), "--echo", "1"]).exit_code == 5
    right = CliRunner().invoke(cli, ["check", str(study.root), "--echo", "1", "--phase-volume", "2"])
    assert right.exit_code == 0, right.output
    assert right.output.rstrip().endswith(f"cmbtk preprocess {study.root} --echo 1 --phase-volume 2")


def test_nothing_can_be_read(tmp_path):
    result = CliRunner().invoke(cli, ["check", "--magnitude", str(tmp_path / "a"), "--phase", str(tmp_path / "b")])
    assert result.exit_code == 3
    assert "2 errors" in result.output


@pytest.mark.parametrize(
    "arguments", [[], ["study", "--phase", "p.nii"], ["--phase", "p.nii"], ["--magnitude", "m.nii"], ["--mask", "x"]]
)
def test_arguments_that_do_not_go_together(arguments):
    result = CliRunner().invoke(cli, ["check", *arguments])
    assert isinstance(result.exception, UsageError)


def test_report_of_a_study(study):
    edit(study.participants, set_cell(0, "scanner", "[red]Verio[/red]"))
    phase_of(study, "sub-002").unlink()
    result = CliRunner().invoke(cli, ["check", str(study.root), "-j", "1"])
    assert result.exit_code == 5
    for part in ("sub-001", "40x48x6", "LPS", "[red]Verio[/red]", "Errors:", "5 scans: 2 errors, no"):
        assert part in result.output
    assert json.loads(study.settings.read_text().split("= ")[1]) == "x", "nothing is written"
    assert sorted(p.name for p in study.root.iterdir()) == [
        "microbleeds.tsv",
        "participants.tsv",
        "scans",
        "study.toml",
    ]


def test_complex_pairs(study):
    """Real and imaginary parts in place of one subject's magnitude and phase."""
    mag, pha = (nib.load(path).get_fdata() for path in (magnitude_of(study, "sub-001"), phase_of(study, "sub-001")))
    folder = study.scans / "sub-001"
    save(folder / "re.nii.gz", mag * np.cos(pha))
    save(folder / "im.nii.gz", mag * np.sin(pha))
    table = pd.read_csv(study.participants, sep="\t", na_values="n/a").assign(real=None, imaginary=None).astype(object)
    parts = [None, None, "scans/sub-001/re.nii.gz", "scans/sub-001/im.nii.gz"]
    table.loc[0, ["magnitude", "phase", "real", "imaginary"]] = parts
    write_tsv(table, study.participants)
    report = check(study)
    assert not report.errors
    assert report.scans[0].phase_unit == "radians, of complex values"
    assert report.scans[0].marks.dark == len(report.scans[0].marks.voxels) == 3
    for name in ("re", "im"):
        save(folder / f"{name}.nii.gz", np.abs(mag))
    assert found(check(study), "error", "re.nii.gz", "no value is negative")
    save(folder / "im.nii.gz", mag[:-1])
    found(check(study), "error", "re.nii.gz", "shapes")  # once
