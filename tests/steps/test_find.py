"""``frst`` on a study made by hand: dark balls where the marks are; then the steps that follow, on its cell."""

import shutil

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from cmb_toolkit.cli.main import cli
from cmb_toolkit.errors import DataError, MissingError, UsageError
from cmb_toolkit.io.publish import Record, publish, read_record
from cmb_toolkit.io.tables import read_tsv, write_tsv
from cmb_toolkit.methods.base import MOST
from cmb_toolkit.methods.frst import Frst
from cmb_toolkit.schema import CANDIDATES
from cmb_toolkit.stage1.recipe import Search
from cmb_toolkit.steps.evaluate import evaluate
from cmb_toolkit.steps.find import find
from cmb_toolkit.steps.stage1_train import stage1_train
from cmb_toolkit.steps.stage2_crop import stage2_crop
from cmb_toolkit.study.layout import Study

SHAPE, ZOOMS, SIZE = (70, 64, 10), (0.8, 0.8, 2.0), 128
ROLES = {
    "1": {"train": ["sub-001", "sub-002"], "validation": ["sub-003"], "test": ["sub-004"], "control": ["sub-005"]},
    "2": {"train": ["sub-003", "sub-004"], "validation": ["sub-002"], "test": ["sub-001"], "control": ["sub-005"]},
}
CONTRAST = {"sub-001": 0.8, "sub-002": 0.8, "sub-003": 0.6, "sub-004": 0.8, "sub-005": 0.0}
MARKS = [(20, 20, 3), (48, 22, 5), (30, 44, 6), (50, 45, 2)]


def frst(root, finder=None, on_note=lambda note: None, **options):
    return find(root, "frst", Search(**{"fold": "1", **options}), finder, on_note=on_note)


@pytest.fixture
def study(tmp_path):
    made = Study.create(tmp_path / "study", "by hand")
    affine = np.diag([*ZOOMS, 1.0])
    affine[:3, 3] = -28, -30, 12
    grid = np.indices(SHAPE)
    mask = ((grid[0] - 35) / 33) ** 2 + ((grid[1] - 32) / 30) ** 2 < 1
    marks = []
    for n, subject in enumerate(CONTRAST):
        swi = 300 + np.random.default_rng(n).normal(0, 8, SHAPE)
        if CONTRAST[subject]:
            for place, faint in zip(MARKS, (1, 0.8, 0.6, 0.3), strict=True):
                distance = np.sqrt(sum(((g - p) * z) ** 2 for g, p, z in zip(grid, place, ZOOMS, strict=True)))
                swi *= 1 - CONTRAST[subject] * faint / (1 + np.exp((distance - 1.4) / 0.3))
                marks.append((subject, *place, *(affine @ [*place, 1])[:3]))
        made.subject(subject).mkdir()
        for path, data in (
            (made.swi(subject), swi * mask),
            (made.phase(subject), 0.1 * mask),
            (made.mask(subject), mask),
        ):
            nib.save(nib.Nifti1Image(data.astype(np.float32), affine), path)
    people = pd.DataFrame({"participant_id": list(CONTRAST), "resolution": "tiny", "scanner": "a"})
    people["group"] = ["patient" if CONTRAST[name] else "control" for name in CONTRAST]
    write_tsv(people, made.participants)
    write_tsv(pd.DataFrame(marks, columns=["participant_id", "i", "j", "k", "x_mm", "y_mm", "z_mm"]), made.microbleeds)
    rows = [(f, s, role) for f, roles in ROLES.items() for role, names in roles.items() for s in names]
    write_tsv(pd.DataFrame(rows, columns=["fold", "participant_id", "role"]), made.folds)
    return made


def test_the_cell_is_one_that_later_steps_take(study):
    run = CliRunner().invoke(
        cli, ["frst", str(study.root), "--fold", "1", "--size", str(SIZE), "--jobs", "2"], catch_exceptions=False
    )
    assert run.exit_code == 0
    assert "on the validation subjects" in run.output
    assert "Warning: the threshold of stage 1 was chosen on " in run.output
    cell = study.cell("tiny", "frst", "1")
    table, record = read_tsv(cell.candidates), read_record(cell.candidates)
    assert list(table.columns) == CANDIDATES.names
    assert dict(zip(table["participant_id"], table["role"], strict=True)) == {
        subject: role
        for role, names in ROLES["1"].items()
        for subject in names
        if subject in set(table["participant_id"])
    }
    assert record["candidates"]["test"] == (table["role"] == "test").sum()
    assert record["parameters"]["roles"] == ROLES["1"]
    width, height = table["right"] - table["left"], table["bottom"] - table["top"]
    assert np.allclose(width, 20, atol=1e-3)
    assert np.allclose(height, 20, atol=1e-3)
    found = set(zip(*(table.loc[table["participant_id"] == "sub-004", axis] for axis in "ijk"), strict=True))
    assert found >= set(MARKS[:3])

    patches = read_tsv(stage2_crop(cell.folder) / "patches.tsv")
    assert patches.loc[patches["origin"] == "candidate", "label"].sum() >= 9
    evaluate(cell.folder)
    lesions = read_tsv(cell.evaluation / "microbleeds.tsv")
    assert lesions["paper_stage1"].notna().sum() >= 3
    assert lesions["centre_stage1"].notna().sum() >= 3


def test_finished_work_is_not_done_twice_and_folds_share_it(study):
    first = frst(study.root, fold="1", size=SIZE)
    maxima = study.found("frst", "sub-004")
    before = maxima.stat().st_mtime_ns, first.stat().st_mtime_ns
    frst(study.root, fold="1", size=SIZE)
    second = frst(study.root, fold="2", size=SIZE)
    assert before == (maxima.stat().st_mtime_ns, first.stat().st_mtime_ns)
    assert set(read_tsv(second)["role"]) <= set(ROLES["2"])
    frst(study.root, fold="1", size=SIZE, finder=Frst(strictness=1.0))
    assert maxima.stat().st_mtime_ns > before[0]
    assert first.stat().st_mtime_ns > before[1]


def shifted(study, subject):
    """Move a subject's marks to where nothing is."""
    marks = read_tsv(study.microbleeds)
    marks.loc[marks["participant_id"] == subject, ["x_mm", "y_mm", "z_mm"]] += 9.0
    write_tsv(marks, study.microbleeds)


def test_the_threshold_is_the_validation_subjects_alone(study):
    def threshold(**options):
        return read_record(frst(study.root, fold="1", size=SIZE, **options))["threshold"]

    all_four = threshold(sensitivity=1.0)
    assert all_four["chosen"] == "on the validation subjects"
    mine = read_tsv(study.found("frst", "sub-003"), ["i", "j", "k", "confidence"])
    scores = [mine.loc[(mine[["i", "j", "k"]] == list(mark)).all(axis=1), "confidence"].max() for mark in MARKS[:3]]
    assert threshold(sensitivity=0.75)["value"] == pytest.approx(min(scores))
    assert threshold(sensitivity=0.5)["value"] == pytest.approx(sorted(scores)[1])
    assert all_four["value"] < min(scores)
    for subject in ("sub-001", "sub-004"):
        shifted(study, subject)
    assert threshold(sensitivity=0.75)["value"] == pytest.approx(min(scores))
    # where the sensitivity costs too much, the lowest threshold within the budget
    within = threshold(sensitivity=1.0, most_false=2.0)
    assert within["value"] == pytest.approx(mine["confidence"][lambda c: c >= within["value"]].min())
    assert len(mine[mine["confidence"] >= within["value"]]) <= 2 + 4
    shifted(study, "sub-003")
    with pytest.raises(DataError, match="no candidate lies on a microbleed"):
        threshold(distance_mm=0.1)


def test_a_given_threshold_and_no_fold(study):
    with pytest.raises(UsageError, match="give --threshold"):
        frst(study.root, fold="none", size=SIZE)
    path = frst(study.root, fold="none", threshold=1e-4, size=SIZE)
    table, record = read_tsv(path), read_record(path)
    assert path == study.cell("tiny", "frst", "none").candidates
    assert record["threshold"] == {"value": 1e-4, "chosen": "given"}
    assert set(table["role"]) == {"test", "control"}
    assert set(table["participant_id"]) == set(CONTRAST)
    assert table["confidence"].min() >= 1e-4
    assert table.groupby("participant_id").size().max() <= MOST


def test_what_is_refused(study):
    for wrong in ({"threshold": 0}, {"sensitivity": 0}, {"most_false": 0}, {"separation_mm": 0}, {"size": 0}):
        with pytest.raises(UsageError):
            frst(study.root, fold="1", **wrong)
    with pytest.raises(DataError, match="no fold '7'"):
        frst(study.root, fold="7")
    path = frst(study.root, fold="1", size=SIZE)
    with pytest.raises(MissingError, match="prepare-yolo"):
        stage1_train(path.parent)
    study.mask("sub-002").unlink()
    with pytest.raises(MissingError, match="cmbtk preprocess"):
        frst(study.root, fold="1", size=SIZE)


def test_a_project_decides_where_a_cell_has_one(study):
    """Candidates of frst beside a Darknet project do not make the cell frst's."""
    path = frst(study.root, fold="1", size=SIZE)
    cell = study.cell("tiny", "frst", "1")
    made_for = {"resolution": "tiny", "input": "swi", "fold": "1", "size": SIZE, "mode": "crop"}
    roles = {role: [] for role in ROLES["1"]}
    with publish(cell.project, Record("prepare-yolo", {**made_for, "roles": roles})) as folder:
        folder.mkdir()
    with pytest.raises(DataError, match="must never be"):
        stage2_crop(path.parent)


def test_one_bad_subject_stops_nobody_and_no_candidates_lack_it(study):
    whole = study.swi("sub-002").read_bytes()
    study.swi("sub-002").write_bytes(b"no scan")
    study.mask("sub-005").unlink()
    with pytest.raises(DataError) as caught:
        frst(study.root, fold="1", size=SIZE)
    *lines, hint = str(caught.value).splitlines()
    assert sorted(line[:8] for line in lines) == ["sub-002:", "sub-005:"]
    assert "candidates of fold 1 were not written" in hint
    assert "found in other subjects is kept" in hint
    made = study.found("frst", "sub-004").stat().st_mtime_ns
    assert not study.cell("tiny", "frst", "1").candidates.exists()
    study.swi("sub-002").write_bytes(whole)
    shutil.copy(study.mask("sub-001"), study.mask("sub-005"))
    assert frst(study.root, fold="1", size=SIZE).is_file()
    assert study.found("frst", "sub-004").stat().st_mtime_ns == made


def test_subjects_with_the_most_candidates_that_are_kept_are_named(study, monkeypatch):
    monkeypatch.setattr("cmb_toolkit.steps.find.MOST", 4)
    for _ in range(2):  # also where nothing is to be done
        notes = []
        path = frst(study.root, fold="1", size=SIZE, threshold=1e-6, on_note=notes.append)
        (line,) = notes
        assert line.startswith("Warning: sub-001, sub-002, sub-003, sub-004, sub-005 have 4 candidates, the most")
    assert read_record(path)["warnings"] == [line.removeprefix("Warning: ").removesuffix(".")]
    notes.clear()
    strongest = read_tsv(path)["confidence"].max()
    frst(study.root, fold="1", size=SIZE, threshold=float(strongest), on_note=notes.append)
    assert notes == []
