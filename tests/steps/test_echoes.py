"""Which volume of 4-D files is taken: of one subject, of a study in which some have several and others one."""

from __future__ import annotations

import nibabel as nib
import numpy as np
import pytest

from cmb_toolkit.errors import DataError, UsageError
from cmb_toolkit.imaging.recipe import Preprocessing, Reading
from cmb_toolkit.io.tables import read_tsv
from cmb_toolkit.sources.table import Table
from cmb_toolkit.steps.check import check_scan, check_study
from cmb_toolkit.steps.import_ import import_
from cmb_toolkit.steps.preprocess import preprocess_scan
from cmb_toolkit.study.cohort import read_participants
from cmb_toolkit.study.layout import Study
from cmb_toolkit.study.scan import Scan, read_images, scan_of

SHAPE = (20, 24, 6)
RNG = np.random.default_rng(0)
MAGNITUDE, PHASE = RNG.uniform(100, 200, SHAPE), RNG.uniform(-np.pi, np.pi, SHAPE)


def quiet(done, total, what):
    pass


def save(path, volumes):
    """One volume, or several along a fourth axis."""
    data = np.stack(volumes, 3) if len(volumes) > 1 else volumes[0]
    nib.save(nib.Nifti1Image(data.astype(np.float32), np.diag([1, 1, 2, 1])), path)
    return path


@pytest.fixture
def study(tmp_path):
    """``sub-a`` with three echoes, ``sub-b`` with one, ``sub-c`` with magnitude and phase in one file."""
    echoes = (1, 2, 3)
    save(tmp_path / "a_mag.nii", [MAGNITUDE * n for n in echoes])
    save(tmp_path / "a_pha.nii", [PHASE / n for n in echoes])
    save(tmp_path / "b_mag.nii", [MAGNITUDE])
    save(tmp_path / "b_pha.nii", [PHASE])
    save(tmp_path / "c.nii", [MAGNITUDE, PHASE])

    def make(*cells):
        lines = ["participant_id\tmagnitude\tphase\techo\tphase_volume"]
        names = (("a_mag.nii", "a_pha.nii"), ("b_mag.nii", "b_pha.nii"), ("c.nii", "c.nii"))
        lines += ["\t".join((n, *pair, *more)) for n, pair, more in zip("abc", names, cells, strict=False)]
        (tmp_path / "scans.tsv").write_text("\n".join(lines) + "\n")
        return Study(import_(Table(), tmp_path / "scans.tsv", tmp_path / "study", on_progress=quiet))

    return make


def images(study, name, **settings):
    scan = scan_of(study, read_participants(study).loc[name])
    return read_images(scan, Preprocessing(**settings))


def test_each_subject_has_its_own(study):
    made = study(("2", "n/a"), ("n/a", "n/a"), ("1", "2"))
    np.testing.assert_allclose(images(made, "sub-a").magnitude.data, MAGNITUDE * 2, rtol=1e-6)
    np.testing.assert_allclose(images(made, "sub-a").phase.data, PHASE / 2, rtol=1e-6)
    np.testing.assert_allclose(images(made, "sub-b").magnitude.data, MAGNITUDE, rtol=1e-6)
    np.testing.assert_allclose(images(made, "sub-c").magnitude.data, MAGNITUDE, rtol=1e-6)
    np.testing.assert_allclose(images(made, "sub-c").phase.data, PHASE, rtol=1e-6)
    report = check_study(made.root, on_progress=quiet)
    assert not [problem for problem in report.errors if "4 dimensions" in problem.message or "echo" in problem.message]


def test_an_option_holds_for_files_of_several_volumes(study):
    made = study(("n/a", "n/a"), ("n/a", "n/a"))
    np.testing.assert_allclose(images(made, "sub-a", echo=3).magnitude.data, MAGNITUDE * 3, rtol=1e-6)
    one = images(made, "sub-b", echo=3)
    np.testing.assert_allclose(one.magnitude.data, MAGNITUDE, rtol=1e-6)
    assert one.warnings == (
        "a file holds one volume, which was taken: --echo and --phase-volume choose where there are more",
    )
    with pytest.raises(DataError, match="3 echoes"):
        images(made, "sub-a")
    report = check_study(made.root, Reading(echo=2), on_progress=quiet)
    assert not [problem for problem in report.errors if "volume" in problem.message or "echo" in problem.message]
    assert any("3 echoes" in problem.message for problem in check_study(made.root, on_progress=quiet).errors)


def test_an_option_that_contradicts_the_table_is_refused(study):
    made = study(("2", "n/a"), ("n/a", "n/a"), ("1", "2"))
    with pytest.raises(UsageError, match="sub-a: column echo says 2, and --echo 3 was given"):
        images(made, "sub-a", echo=3)
    with pytest.raises(UsageError, match="sub-c: column phase_volume says 2, and --phase-volume 1 was given"):
        images(made, "sub-c", phase_volume=1)
    assert images(made, "sub-a", echo=2).magnitude is not None


def test_what_is_said_of_one_scan_must_fit_its_files(study, tmp_path):
    made = study(("4", "n/a"), ("2", "n/a"))
    with pytest.raises(DataError, match="has no echo 4; it holds 3 volumes"):
        images(made, "sub-a")
    with pytest.raises(DataError, match="has no echo 2; it holds 1 volume"):
        images(made, "sub-b")
    scan = Scan("scan", tmp_path / "b_pha.nii", tmp_path / "b_mag.nii")
    with pytest.raises(DataError, match="has no echo 2; it holds 1 volume"):
        preprocess_scan(scan, tmp_path / "out", Preprocessing(echo=2, brain_mask="none"), on_progress=quiet)
    assert any(
        "has no echo 2" in problem.message for problem in check_scan(scan, Reading(echo=2), on_progress=quiet).errors
    )


@pytest.mark.parametrize("cell", ["0", "-1", "1.5", "two", "nan"])
def test_what_is_no_number_of_a_volume(study, cell):
    with pytest.raises(DataError, match=r"scans\.tsv: line 2: echo is .*; expected the number of a volume"):
        study((cell, "n/a"))
    made = study(("2", "n/a"))
    table = made.participants.read_text()
    made.participants.write_text(table.replace("\t2\n", f"\t{cell}\n"))
    assert made.participants.read_text() != table
    with pytest.raises(DataError, match=r"sub-a has echo .*; expected a whole number from 1, or n/a"):
        scan_of(made, read_participants(made).iloc[0])


def test_columns_that_nobody_needs_are_left_out(study):
    assert not {"echo", "phase_volume"} & set(read_tsv(study(("n/a", "n/a"), ("n/a", "n/a")).participants).columns)
