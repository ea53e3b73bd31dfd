"""`cmbtk check` on marks: wrong ways of counting are named with what settles them, right marks raise no alarm."""

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from cmb_toolkit.cli.main import cli
from cmb_toolkit.io.tables import read_tsv, write_tsv
from cmb_toolkit.simulation.recipe import Simulating
from cmb_toolkit.sources.authors import Authors
from cmb_toolkit.sources.table import Table
from cmb_toolkit.steps.check import check_study
from cmb_toolkit.steps.import_ import import_
from cmb_toolkit.steps.simulate import simulate
from cmb_toolkit.study.layout import Study

SHAPE, ZOOMS = (72, 90, 14), (1.0, 1.0, 2.0)


def quiet(done, total, what):
    pass


def head(seed, marks):
    """A head with 60 veins across the slices and dark spots: magnitude, phase, the spots, the veins."""
    rng = np.random.default_rng(seed)
    i, j, k = np.indices(SHAPE)
    radius = np.hypot((i - 35.5) / 33, (j - 44.5) / 42)
    signal = np.where(radius < 0.8, 1.0, np.where(radius < 0.9, 0.08, np.where(radius < 1, 0.8, 0)))
    veins = np.c_[rng.integers(20, 52, 60), rng.integers(25, 65, 60)]
    signal[veins[:, 0], veins[:, 1]] = 0.5
    spots = []
    while len(spots) < marks:
        spot = np.array([rng.integers(18, 54), rng.integers(20, 70), rng.integers(2, 12)])
        if all(np.abs(spot - other).max() > 8 for other in spots):
            spots.append(spot)
            signal[((i - spot[0]) ** 2 + (j - spot[1]) ** 2 + 4 * (k - spot[2]) ** 2) < 2.6**2] = 0.15
    noisy = 500 * np.abs(signal + 0.04 * (rng.standard_normal(SHAPE) + 1j * rng.standard_normal(SHAPE)))
    phase = rng.uniform(-np.pi, np.pi, SHAPE)
    phase.flat[:2] = -np.pi, np.pi
    return noisy.astype("f4"), phase.astype("f4"), np.array(spots).reshape(-1, 3), np.c_[veins, rng.integers(2, 12, 60)]


AFFINE = np.diag([*ZOOMS, 1.0])
AFFINE[:3, 3] = -0.5 * (np.array(SHAPE) - 1) * ZOOMS


def save(path, data, axes):
    path.parent.mkdir(parents=True, exist_ok=True)
    image, ornt = nib.Nifti1Image(data, AFFINE), nib.orientations
    nib.save(image.as_reoriented(ornt.ornt_transform(ornt.axcodes2ornt("RAS"), ornt.axcodes2ornt(axes))), path)


def cohort(folder, written, *, seed=0, subjects=2, marks=3, axes=("RAS",), base=0, columns="ijk"):
    """A study from a table; `written` makes of the spots (canonical voxels) what stands in the table of marks."""
    scans, rows = [], []
    for n in range(subjects):
        name, stored = f"p{n + 1}", axes[n % len(axes)]
        magnitude, phase, spots, veins = head(10 * seed + n, marks)
        for kind, data in (("mag", magnitude), ("pha", phase)):
            save(folder / name / f"{kind}.nii.gz", data, stored)
        scans.append({"participant_id": name, "magnitude": f"{name}/mag.nii.gz", "phase": f"{name}/pha.nii.gz"})
        rows += [(name, *values) for values in written(spots if marks else veins[:8]).tolist()]
    folder.mkdir(exist_ok=True)
    write_tsv(pd.DataFrame(scans), folder / "scans.tsv")
    write_tsv(
        pd.DataFrame(
            rows, columns=["participant_id", *columns.split()] if " " in columns else ["participant_id", *columns]
        ),
        folder / "marks.tsv",
    )
    out = folder / "study"
    source = Table(marks=(folder / "marks.tsv",), label_base=base)
    import_(source, folder / "scans.tsv", out, on_progress=quiet)
    return Study(out)


def said(study):
    """The warnings of the marks."""
    report = check_study(study.root, on_progress=quiet)
    assert not report.errors
    return [problem.message for problem in report.problems if "microbleeds.tsv" in problem.message]


@pytest.mark.parametrize("seed", range(4))
def test_right_marks_raise_no_alarm(tmp_path, seed):
    assert said(cohort(tmp_path / "right", lambda spots: spots, seed=seed, marks=1 + seed)) == []


def test_marks_on_veins_count_as_they_were_said_to(tmp_path):
    assert not [
        message for message in said(cohort(tmp_path / "veins", lambda veins: veins, marks=0)) if "counted" in message
    ]


def test_imprecise_marks_raise_no_alarm(tmp_path):
    rng = np.random.default_rng(5)
    beside = lambda spots: spots + np.c_[rng.integers(-1, 2, (len(spots), 2)), 0 * spots[:, 0]]  # noqa: E731
    assert said(cohort(tmp_path / "beside", beside, marks=6)) == []


@pytest.mark.parametrize("marks", [2, 5])
def test_world_positions_in_lps(tmp_path, marks):
    """Two marks of each of two subjects are enough."""

    def lps(spots):
        return (spots * ZOOMS + AFFINE[:3, 3]) * (-1, -1, 1)

    (message,) = said(cohort(tmp_path / "lps", lps, marks=marks, columns="x_mm y_mm z_mm"))
    assert f"of {2 * marks} marks lie on dark spots, but counted with x and y in LPS {2 * marks} would" in message
    assert "by chance" in message
    assert "flip the sign of x_mm and y_mm (LPS): correct the table of marks and import again" in message


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        (lambda s: np.c_[SHAPE[0] - 1 - s[:, 0], s[:, 1:]], "from the other end of the first axis"),
        (lambda s: np.c_[s[:, :2], SHAPE[2] - 1 - s[:, 2]], "from the other end of the slice axis"),
        (lambda s: s[:, [1, 0, 2]], "with the first and the second axis exchanged"),
    ],
)
def test_turned_axes(tmp_path, wrong, named):
    messages = said(cohort(tmp_path / "turned", wrong, marks=4))
    assert len([text for text in messages if f"but counted {named} " in text]) == 1


def test_voxels_counted_from_one(tmp_path):
    """Files with different axes are off in different directions, and the reason is one."""
    study = cohort(tmp_path / "one", lambda spots: spots + 1, axes=("RAS",))
    (message,) = said(study)
    assert "6 of 6 marks lie one voxel beside the middle of their dark spot" in message
    assert "`cmbtk import table --label-base 1`" in message
    assert said(cohort(tmp_path / "right", lambda spots: spots + 1, base=1)) == []


def test_one_subject_of_several_with_turned_marks(tmp_path):
    turns = iter([False, True, False])

    def one_turned(spots):
        return np.c_[SHAPE[0] - 1 - spots[:, 0], spots[:, 1:]] if next(turns) else spots

    (message,) = said(cohort(tmp_path / "one", one_turned, subjects=3, marks=4))
    assert "0 of 4 marks of sub-p2 lie on dark spots, but counted from the other end of the first axis 4" in message


def test_labels_of_the_authors_layout_name_their_options(tmp_path):
    import openpyxl

    for n, name in enumerate(("a", "b")):
        magnitude, phase, spots, _ = head(n, 4)
        for kind, data in (("mag", magnitude), ("pha", phase)):
            save(tmp_path / "in" / "Data" / name / f"{kind}.nii.gz", data, "LPS")
        book = openpyxl.Workbook()
        for i, j, k in spots.tolist():  # array: x counts along the file's second axis, y along its first
            book.active.append([k + 1, SHAPE[1] - j, SHAPE[0] - i])
        (tmp_path / "in" / "Label").mkdir(exist_ok=True)
        book.save(tmp_path / "in" / "Label" / f"{name}.xlsx")
    wrong = Study(import_(Authors(1, "voxel"), tmp_path / "in", tmp_path / "wrong", on_progress=quiet))
    (message,) = said(wrong)
    assert "but counted as `cmbtk import authors --label-base 1 --label-axes array` does 8 would" in message
    right = Study(import_(Authors(1, "array"), tmp_path / "in", tmp_path / "right", on_progress=quiet))
    assert said(right) == []


def test_marks_in_air_and_in_bone(tmp_path):
    places = np.array([(2, 2, 3), (3, 4, 5), (35, 80, 4), (70, 4, 6), (1, 85, 2)])
    messages = said(cohort(tmp_path / "air", lambda spots: places, subjects=1, marks=1))
    assert any("5 of 5 marks of sub-p1 lie outside the brain, in air, bone or at the edge" in text for text in messages)
    assert any("only 0 of 5 marks lie on dark spots" in text for text in messages)


def test_a_label_mask_turned_to_points(tmp_path):
    cube = np.stack(np.indices((3, 3, 2)), axis=-1).reshape(-1, 3) - 1
    voxels = lambda spots: np.concatenate([spot + cube for spot in spots])  # noqa: E731
    messages = said(cohort(tmp_path / "mask", voxels, subjects=1, marks=2))
    assert any("36 of 36 marks of sub-p1 touch each other, in 2 groups" in text for text in messages)


def test_pictures(tmp_path):
    study = cohort(tmp_path / "in", lambda spots: spots)
    result = CliRunner().invoke(cli, ["check", str(study.root), "--pictures", "-j", "1"])
    assert result.exit_code == 0, result.output
    assert study.mark_pictures.read_bytes().startswith(b"\x89PNG")
    assert f"{study.mark_pictures}: 6 marks." in result.output.replace("\n", "")
    named = tmp_path / "mine.png"
    assert CliRunner().invoke(cli, ["check", str(study.root), "-j", "1", "--pictures", str(named)]).exit_code == 0
    assert named.read_bytes() == study.mark_pictures.read_bytes()
    for arguments in (["--pictures", str(study.root)], ["--pictures", "x.png", "--phase", "p.nii", "--swi", "s.nii"]):
        assert CliRunner().invoke(cli, ["check", *arguments]).exception.exit_code == 2
    write_tsv(read_tsv(study.microbleeds).iloc[:0], study.microbleeds)
    nothing = CliRunner().invoke(cli, ["check", str(study.root), "-j", "1", "--pictures", str(tmp_path / "none.png")])
    assert "there is no mark to draw" in nothing.output
    assert not (tmp_path / "none.png").exists()


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2])
def test_simulated_studies(tmp_path, seed):
    """The truth raises no alarm, calcifications and vessels that look alike none about counting."""
    study = Study(simulate(tmp_path / "study", Simulating("tiny", subjects=3, seed=seed), jobs=1, on_progress=quiet))
    assert said(study) == []
    table = read_tsv(study.microbleeds)
    mirrored = table.assign(i=111 - table["i"], x_mm=None, y_mm=None, z_mm=None)
    write_tsv(mirrored, study.microbleeds)
    assert "from the other end of the first axis" in said(study)[0]
