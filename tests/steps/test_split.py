"""`cmbtk split`: folds of a study, written once and counted."""

import errno
import os
import shlex

import pandas as pd
import pytest
from click.testing import CliRunner

from cmb_toolkit.cli.main import cli
from cmb_toolkit.errors import DataError, MissingError, StorageError, UsageError
from cmb_toolkit.evaluation.recipe import Folding
from cmb_toolkit.io.publish import read_record
from cmb_toolkit.io.tables import read_tsv, write_tsv
from cmb_toolkit.steps.split import fold_table, split
from cmb_toolkit.study.cohort import read_fold
from cmb_toolkit.study.layout import Study


def quiet(done, total, what):
    pass


@pytest.fixture
def study(tmp_path):
    """Ten HR and six LR patients with n mod 4 microbleeds, and two controls."""
    study = Study.create(tmp_path / "study", "x")
    names = [f"sub-{n:02d}" for n in range(18)]
    participants = pd.DataFrame(
        {
            "participant_id": names,
            "resolution": ["HR"] * 10 + ["LR"] * 6 + ["HR", "LR"],
            "scanner": [("Verio", "Skyra")[n % 2] for n in range(18)],
            "group": ["patient"] * 16 + ["control"] * 2,
        }
    )
    write_tsv(participants, study.participants)
    marks = [(name, 1, 1, n, 0.0, 0.0, 0.0) for k, name in enumerate(names[:16]) for n in range(k % 4)]
    write_tsv(pd.DataFrame(marks, columns=["participant_id", "i", "j", "k", "x_mm", "y_mm", "z_mm"]), study.microbleeds)
    return study


def test_folds_of_a_study(study):
    assert split(study.root, Folding(folds=3), on_progress=quiet) == study.folds
    folds = [read_fold(study, str(n)) for n in (1, 2, 3)]
    tested = sorted(subject for fold in folds for subject in fold.test)
    assert tested == [f"sub-{n:02d}" for n in range(16)]
    assert all(fold.control == ("sub-16", "sub-17") for fold in folds)
    record = read_record(study.folds)
    assert record["parameters"] == {"folds": 3, "validation": 0.2, "seed": 0}
    assert [source["file"] for source in record["sources"]] == ["participants.tsv", "microbleeds.tsv"]


def test_the_counts_are_those_of_the_tables(study):
    split(study.root, Folding(folds=3), on_progress=quiet)
    counts = fold_table(study.root)
    assert counts["resolution"].tolist() == ["HR"] * 3 + ["LR"] * 3
    assert counts["test subjects"].tolist()[3:] == [2, 2, 2]
    marks = len(read_tsv(study.microbleeds))
    assert counts["test microbleeds"].sum() == marks
    for _, rows in counts.groupby("fold"):
        assert rows.filter(like="microbleeds").to_numpy().sum() == marks
        assert rows.filter(like="subjects").to_numpy().sum() == 16
    assert (counts["controls"] == 1).all()


def test_again_is_done_unless_something_changed(study):
    split(study.root, Folding(folds=3), on_progress=quiet)
    before = study.folds.stat().st_mtime_ns
    split(study.root, Folding(folds=3), on_progress=quiet)
    assert study.folds.stat().st_mtime_ns == before
    split(study.root, Folding(folds=3, seed=1), on_progress=quiet)
    assert study.folds.stat().st_mtime_ns != before
    first = study.folds.read_text()
    marks = read_tsv(study.microbleeds)
    write_tsv(marks.iloc[:-3], study.microbleeds)
    before = study.folds.stat().st_mtime_ns
    split(study.root, Folding(folds=3, seed=1), on_progress=quiet)
    assert study.folds.stat().st_mtime_ns != before, "the microbleeds changed"
    write_tsv(marks, study.microbleeds)
    split(study.root, Folding(folds=3, seed=1), on_progress=quiet)
    assert study.folds.read_text() == first


def test_bad_input(study, tmp_path):
    with pytest.raises(MissingError, match="not a study folder"):
        split(tmp_path, on_progress=quiet)
    with pytest.raises(UsageError, match="--folds 1"):
        split(study.root, Folding(folds=1), on_progress=quiet)
    with pytest.raises(DataError, match=r"participants\.tsv: resolution LR: 6 patients are too few for 7 folds"):
        split(study.root, Folding(folds=7), on_progress=quiet)
    assert not study.folds.exists()
    write_tsv(read_tsv(study.participants).iloc[:0], study.participants)
    with pytest.raises(DataError, match=r"participants\.tsv: holds no subject"):
        split(study.root, on_progress=quiet)


def test_a_full_disk_leaves_the_old_folds(study, monkeypatch):
    split(study.root, Folding(folds=3), on_progress=quiet)
    before = study.folds.read_bytes()

    def full(handle):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StorageError, match=r"folds\.tsv: could not be written \(no space left on device\)"):
        split(study.root, Folding(folds=4), on_progress=quiet)
    assert study.folds.read_bytes() == before
    assert not [path for path in study.root.iterdir() if path.name.startswith(".")]


def test_marks_of_a_missing_subject(study):
    write_tsv(read_tsv(study.participants).iloc[1:-2].iloc[2:], study.participants)
    with pytest.raises(DataError, match=r"microbleeds\.tsv: marks of sub-01, sub-02, not in participants\.tsv"):
        split(study.root, on_progress=quiet)


def test_a_control_with_marks(study):
    participants = read_tsv(study.participants)
    participants.loc[3, "group"] = "control"
    write_tsv(participants, study.participants)
    with pytest.raises(DataError, match=r"participants\.tsv: control sub-03 has microbleeds"):
        split(study.root, on_progress=quiet)


def test_command_line(study):
    result = CliRunner().invoke(cli, ["split", str(study.root), "--folds", "2", "--seed", "3"])
    assert result.exit_code == 0, result.output
    assert "test" in result.output
    assert "5 / " in result.output
    assert f"Next: cmbtk prepare-yolo {study.root} --fold 1" in result.output
    assert read_record(study.folds)["parameters"]["seed"] == 3


def test_the_next_command_can_be_typed_as_it_is_shown(study):
    moved = study.root.rename(study.root.with_name("my study; (2)"))
    result = CliRunner().invoke(cli, ["split", str(moved), "--folds", "2"])
    (told,) = [line for line in result.output.splitlines() if line.startswith("Next: ")]
    assert shlex.split(told)[1:] == ["cmbtk", "prepare-yolo", str(moved), "--fold", "1"]


def test_folds_by_scanner_are_added(study):
    split(study.root, Folding(folds=3), on_progress=quiet)
    plain = read_tsv(study.folds)
    split(study.root, Folding(folds=3, by_scanner=True), on_progress=quiet)
    table = read_tsv(study.folds)
    assert table.iloc[: len(plain)].astype(str).equals(plain.astype(str))
    fold = read_fold(study, "scanner-Verio")
    assert set(fold.test) == {f"sub-{n:02d}" for n in range(1, 16, 2)}
    assert set(fold_table(study.root)["fold"].astype(str)) == {"1", "2", "3", "scanner-Skyra", "scanner-Verio"}
    result = CliRunner().invoke(cli, ["split", str(study.root), "--folds", "3", "--by-scanner"])
    assert result.exit_code == 0, result.output
    assert "scanner-Skyra" in result.output
    assert "tested" not in CliRunner().invoke(cli, ["check", str(study.root)]).output
