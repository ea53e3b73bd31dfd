"""`cmbtk import table` and `import bids` with marks of several formats: what is made of them, and what is said."""

import json

import nibabel as nib
import numpy as np
import pytest
from click.testing import CliRunner

from cmb_toolkit.cli.main import cli
from cmb_toolkit.errors import DataError
from cmb_toolkit.io.publish import read_record
from cmb_toolkit.sources.table import Table
from cmb_toolkit.steps.import_ import import_
from cmb_toolkit.study.cohort import read_microbleeds, read_participants
from cmb_toolkit.study.layout import Study

SHAPE = (6, 8, 4)
LPS = np.diag([-0.5, -0.5, 2.0, 1.0])
VOXEL, CANONICAL, RAS = (1, 2, 3), [4, 5, 3], (-0.5, -1.0, 6.0)
"""One place: in the file, on canonical axes, in the world."""


def volume(path, data=None):
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(nib.Nifti1Image(np.arange(192, dtype=np.float32).reshape(SHAPE) if data is None else data, LPS), path)


def slicer(path, *points):
    path.parent.mkdir(parents=True, exist_ok=True)
    controls = [{"label": "KIM", "position": [-x, -y, z]} for x, y, z in points]
    path.write_text(json.dumps({"markups": [{"coordinateSystem": "LPS", "controlPoints": controls}]}), "utf-8")


def label_map(path):
    data = np.zeros(SHAPE, np.uint8)
    data[VOXEL] = 1
    volume(path, data)


def run(*words):
    done = CliRunner().invoke(cli, ["import", *map(str, words)])
    assert done.exit_code == 0, done.output
    return done.output


@pytest.fixture
def scans(tmp_path):
    """A table of four subjects."""
    for name in ("01", "02", "03", "04"):
        for kind in ("mag", "phase"):
            volume(tmp_path / "nii" / f"{name}_{kind}.nii.gz")
    rows = [f"{name}\tnii/{name}_mag.nii.gz\tnii/{name}_phase.nii.gz" for name in ("01", "02", "03", "04")]
    path = tmp_path / "scans.tsv"
    path.write_text("\n".join(["participant_id\tmagnitude\tphase", *rows]) + "\n", "utf-8")
    return path


def marks_of(study):
    marks = read_microbleeds(study)
    return {subject: mine[["i", "j", "k"]].to_numpy().tolist() for subject, mine in marks.groupby("participant_id")}


def test_files_of_several_formats(scans, tmp_path):
    slicer(tmp_path / "marks" / "01_KIM.mrk.json", RAS)
    label_map(tmp_path / "marks" / "sub-02" / "lesions.nii.gz")
    slicer(tmp_path / "marks" / "03.mrk.json")
    more = tmp_path / "more.csv"
    more.write_text(f"Patient,slice,x,y\n4,{VOXEL[2] + 1},{VOXEL[0] + 1},{VOXEL[1] + 1}\n", "utf-8")
    said = run(
        "table", scans, "--marks", tmp_path / "marks", "--marks", more, "--label-base", 1, "-o", tmp_path / "study"
    )
    assert "2 files: 3D Slicer points, LPS: 1 mark of 2 subjects." in said
    assert "table, voxels slice, x, y counted from 1: 1 mark of 1 subject." in said
    study = Study.open(tmp_path / "study")
    assert marks_of(study) == {"sub-01": [CANONICAL], "sub-02": [CANONICAL], "sub-04": [CANONICAL]}
    participants = read_participants(study)
    assert participants["read"].to_dict() == {**dict.fromkeys(["sub-01", "sub-02", "sub-04"], np.nan), "sub-03": "yes"}
    for table in (study.participants, study.microbleeds):
        written = json.dumps(read_record(table))
        assert "KIM" not in written
        assert "lesions" not in written
    assert [entry["role"] for entry in read_record(study.microbleeds)["sources"]] == ["table", "marks"]
    before = study.microbleeds.stat().st_mtime_ns
    again = ["table", scans, "--marks", tmp_path / "marks", "--marks", more, "--label-base", 1, "-o", study.root]
    run(*again)
    assert study.microbleeds.stat().st_mtime_ns == before, "nothing has changed"
    slicer(tmp_path / "marks" / "03.mrk.json", RAS)
    run(*again)
    assert marks_of(study)["sub-03"] == [CANONICAL]


def test_a_column_of_marks(scans, tmp_path):
    slicer(tmp_path / "m" / "any name.mrk.json", RAS)
    (tmp_path / "m" / "two.tsv").write_text("participant_id\ti\tj\tk\n02\t1\t2\t3\n03\t1\t2\t3\n", "utf-8")
    cells = ["marks", "m/any name.mrk.json", "m/two.tsv", "m/two.tsv", "n/a"]
    lines = [f"{line}\t{cell}" for line, cell in zip(scans.read_text("utf-8").splitlines(), cells, strict=True)]
    scans.write_text("\n".join(lines), "utf-8")
    said = run("table", scans, "-o", tmp_path / "study")
    assert "columns not taken over" not in said
    study = Study.open(tmp_path / "study")
    assert marks_of(study) == {name: [CANONICAL] for name in ("sub-01", "sub-02", "sub-03")}
    assert "marks" not in read_participants(study)


def test_marks_of_a_bids_folder(tmp_path):
    root = tmp_path / "ds"
    for session in ("1", "2"):
        for part in ("mag", "phase"):
            volume(root / "sub-01" / f"ses-{session}" / "anat" / f"sub-01_ses-{session}_part-{part}_T2starw.nii.gz")
    (root / "T2starw.json").write_text(
        '{"EchoTime": 0.02, "Manufacturer": "Siemens", "ManufacturersModelName": "Prisma"}', "utf-8"
    )
    label_map(root / "derivatives" / "cmb" / "sub-01" / "ses-2" / "anat" / "sub-01_ses-2_desc-cmb_dseg.nii.gz")
    said = run("bids", root, "--marks", root / "derivatives" / "cmb", "-o", tmp_path / "study")
    assert "these are 1 person; no fold will have one in two sets" in said
    study = Study.open(tmp_path / "study")
    assert marks_of(study) == {"sub-01_ses-2": [CANONICAL]}
    participants = read_participants(study)
    assert participants.index.tolist() == ["sub-01_ses-1", "sub-01_ses-2"]
    assert participants["scanner"].tolist() == ["Siemens Prisma"] * 2
    assert participants["echo_time_ms"].tolist() == [20, 20]
    assert participants["person_id"].tolist() == ["sub-01"] * 2
    (root / "T2starw.json").write_text('{"EchoTime": 0.03}', "utf-8")
    run("bids", root, "--marks", root / "derivatives" / "cmb", "-o", tmp_path / "study")
    assert read_participants(study)["echo_time_ms"].tolist() == [30, 30], "what sidecars say is known again, or not"


def test_a_label_map_of_another_scan_names_both(scans, tmp_path):
    data = np.zeros((6, 8, 5), np.uint8)
    data[1, 1, 1] = 1
    nib.save(nib.Nifti1Image(data, LPS), tmp_path / "01.nii.gz")
    path = tmp_path / "01.nii.gz"
    with pytest.raises(DataError, match=f"{path}: sub-01: label map and scan: shapes 6 x 8 x 5 and 6 x 8 x 4 disagree"):
        import_(Table(marks=(path,)), scans, tmp_path / "study", on_progress=lambda *_: None)


@pytest.mark.parametrize("source", ["table", "bids"])
def test_what_is_advised_at_the_end_can_be_done(scans, tmp_path, source):
    place = scans
    if source == "bids":
        place = tmp_path / "ds"
        for part in ("mag", "phase"):
            volume(place / "sub-01" / "anat" / f"sub-01_part-{part}_T2starw.nii.gz", None)
    lines = scans.read_text("utf-8").splitlines()
    scans.write_text("\n".join([f"{lines[0]}\tresolution", *(f"{line}\tn/a" for line in lines[1:])]), "utf-8")
    said = run(source, place, "-o", tmp_path / "study")
    table = scans if source == "table" else tmp_path / "study" / "participants.tsv"
    assert f"of single subjects the columns read and group of {table} say it" in said
    run(source, place, "--unmarked", "read", "--resolution", "mine", "-o", tmp_path / "study")
    participants = read_participants(Study.open(tmp_path / "study"))
    assert set(participants["resolution"]) == {"mine"}
    assert set(participants["read"]) == {"yes"}
