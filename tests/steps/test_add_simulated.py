"""Simulated subjects in the training set of a study's folds, and nowhere else."""

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from cmb_toolkit.cli.main import cli
from cmb_toolkit.errors import DataError, MissingError, UsageError
from cmb_toolkit.evaluation.recipe import Folding
from cmb_toolkit.io.publish import Record, publish
from cmb_toolkit.io.tables import read_tsv, write_tsv
from cmb_toolkit.steps.add_simulated import add_simulated
from cmb_toolkit.steps.split import split
from cmb_toolkit.study.cohort import NO_FOLD, read_fold, read_microbleeds, read_participants, roles_in
from cmb_toolkit.study.layout import Study
from cmb_toolkit.study.places import located

MARK = ["participant_id", "i", "j", "k", "x_mm", "y_mm", "z_mm"]


def make(folder, step, subjects, *, resolution="HR", controls=1, voxel=(0.5, 0.5, 2.0)):
    """A study of subjects with a mark each, the last ones controls, and one small scan that is everybody's."""
    study = Study.create(folder, "x")
    names = [f"sub-{n:03d}" for n in range(1, subjects + 1)]
    study.scans.mkdir(parents=True)
    nib.save(nib.Nifti1Image(np.zeros((4, 4, 4), np.float32), np.diag([*voxel, 1.0])), study.scans / "m.nii.gz")
    people = pd.DataFrame({"participant_id": names, "resolution": resolution, "scanner": "A"})
    people["group"] = ["patient"] * (subjects - controls) + ["control"] * controls
    people = people.assign(magnitude="scans/m.nii.gz", phase="scans/m.nii.gz")
    with publish(study.participants, Record(step, {})) as path:
        write_tsv(people, path)
    marks = pd.DataFrame([(name, 1, 2, 3, 0.5, 1.0, 6.0) for name in names[: subjects - controls]], columns=MARK)
    with publish(study.microbleeds, Record(step, {})) as path:
        write_tsv(marks if step == "import" else marks.assign(diameter_mm=2.5), path)
    return study


@pytest.fixture
def own(tmp_path):
    return make(tmp_path / "own", "import", 11)


@pytest.fixture
def other(tmp_path):
    return make(tmp_path / "other", "simulate", 4)


def divide(study):
    split(study.root, Folding(folds=3), on_progress=lambda *_: None)
    return read_tsv(study.folds, ["fold", "participant_id", "role"])


def test_they_are_trained_on_in_every_fold_and_change_no_other(own, other):
    before = divide(own)
    names = add_simulated(own.root, other.root)
    assert names == ["sub-sim001", "sub-sim002", "sub-sim003"], "patients alone"
    after = divide(own)
    mine = after[after["participant_id"].isin(names)]
    assert set(mine["role"]) == {"train"}
    assert len(mine) == 3 * 3
    rest = after[~after["participant_id"].isin(names)].reset_index(drop=True)
    pd.testing.assert_frame_equal(rest, before)
    assert set(names) <= set(read_fold(own, "2").train)
    people = read_participants(own)
    assert located(own, people.loc["sub-sim001", "magnitude"]).samefile(other.scans / "m.nii.gz")
    marks = read_microbleeds(own)
    assert marks["participant_id"].isin(names).sum() == 3
    assert list(marks.columns) == MARK


def test_they_are_nobody_to_test(own, other):
    names = add_simulated(own.root, other.root)
    people = read_participants(own)
    everybody = roles_in(own, NO_FOLD, people)
    assert not set(names) & {*everybody.test, *everybody.control}
    table = divide(own)
    for role in ("validation", "test"):
        table.loc[table["participant_id"] == names[0], "role"] = role
        write_tsv(table, own.folds)
        with pytest.raises(DataError, match=f"simulated subjects in the role {role}: sub-sim001"):
            read_fold(own, "1")
    table.loc[table["participant_id"] == names[0], "role"] = "excluded"
    write_tsv(table, own.folds)
    assert names[0] not in read_fold(own, "1").train


def test_again_they_are_replaced(own, other, tmp_path):
    add_simulated(own.root, other.root)
    tables = own.participants.read_bytes(), own.microbleeds.read_bytes()
    add_simulated(own.root, other.root)
    assert (own.participants.read_bytes(), own.microbleeds.read_bytes()) == tables
    add_simulated(own.root, make(tmp_path / "fewer", "simulate", 2).root)
    assert [name for name in read_participants(own).index if name.startswith("sub-sim")] == ["sub-sim001"]


def test_what_is_refused(own, other, tmp_path):
    with pytest.raises(UsageError, match="is the simulated study itself"):
        add_simulated(other.root, other.root)
    with pytest.raises(DataError, match="not written by `cmbtk simulate`"):
        add_simulated(other.root, own.root)
    with pytest.raises(MissingError, match="not a study folder"):
        add_simulated(own.root, tmp_path / "nothing")
    with pytest.raises(DataError, match="no patient has a resolution of this study's: HR"):
        add_simulated(own.root, make(tmp_path / "lr", "simulate", 3, resolution="LR").root)
    people = read_tsv(own.participants)
    write_tsv(people.replace("sub-001", "sub-sim001"), own.participants)
    with pytest.raises(DataError, match="sub-sim001 stand there already"):
        add_simulated(own.root, other.root)
    write_tsv(people.assign(simulated="maybe"), own.participants)
    with pytest.raises(DataError, match="sub-002: simulated is 'maybe'; expected yes, no or n/a"):
        add_simulated(own.root, other.root)


def test_the_command_says_who_and_warns_of_other_voxels(own, tmp_path):
    coarse = make(tmp_path / "coarse", "simulate", 4, voxel=(0.8, 0.8, 1.2))
    done = CliRunner().invoke(cli, ["add-simulated", str(own.root), str(coarse.root)], catch_exceptions=False)
    assert done.exit_code == 0
    assert "3 simulated subjects, sub-sim001 to sub-sim003" in done.output
    assert "HR: voxels of this study are 0.5 x 0.5 x 2 mm, of the simulated one 0.8 x 0.8 x 1.2 mm" in done.output
