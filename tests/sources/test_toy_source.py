"""A new source is one file (tests/toys/toy_source.py) and one line of the registry."""

import nibabel as nib
import numpy as np
import pytest

from cmb_toolkit.io.publish import read_record
from cmb_toolkit.io.tables import read_tsv
from cmb_toolkit.registry import load
from cmb_toolkit.sources.registry import SOURCES
from cmb_toolkit.study.layout import Study

SHAPE = (64, 72, 8)


@pytest.fixture
def run(registered):
    return registered(SOURCES, "toy", ("toy_source:Toy", "From a folder of folders."))


@pytest.fixture
def scans(tmp_path):
    """Two heads with 30 veins and three microbleeds, stored in other orders of axes."""
    i, j, k = np.indices(SHAPE)
    brain = ((i - 31.5) / 26) ** 2 + ((j - 35.5) / 30) ** 2 < 1
    spots = [(20, 30, 2), (40, 40, 4), (30, 50, 5)]
    for n, axes in enumerate(("LPS", "RAS")):
        rng = np.random.default_rng(n)
        dark = np.zeros(SHAPE, bool)
        dark[rng.integers(15, 49, 30), rng.integers(15, 57, 30)] = True
        for a, b, c in spots:
            dark |= (i - a) ** 2 + (j - b) ** 2 + 4 * (k - c) ** 2 < 6
        noise = 0.03 * (rng.standard_normal(SHAPE) + 1j * rng.standard_normal(SHAPE))
        image = np.where(brain, np.where(dark, 0.3, 1), 0.05) * np.exp(1j * (dark * 1.2 + 0.05 * i)) + noise
        folder = tmp_path / "scans" / f"{n + 1:03d}"
        folder.mkdir(parents=True)
        turn = nib.orientations.ornt_transform(*map(nib.orientations.axcodes2ornt, (("R", "A", "S"), tuple(axes))))
        for kind, data in (("magnitude", 500 * np.abs(image)), ("phase", np.angle(image)), ("mask", brain)):
            made = nib.Nifti1Image(data.astype(np.float32), np.diag([0.8, 0.8, 2, 1])).as_reoriented(turn)
            nib.save(made, folder / f"{kind}.nii.gz")
        own = [(63 - a, 71 - b, c) if axes == "LPS" else (a, b, c) for a, b, c in spots]
        np.savetxt(folder / "marks.txt", own, fmt="%d")
    return tmp_path / "scans"


def test_its_line_is_enough_for_import_check_and_preprocess(run, scans, tmp_path):
    assert "From a folder of folders" in run("import", "--help")
    assert "--group" in run("import", "toy", "--help")
    said = run("import", "toy", scans, "-o", tmp_path / "study")
    assert "2 subjects (2 LR), 0 of them controls, 6 microbleeds." in said
    study = Study.open(tmp_path / "study")
    marks = read_tsv(study.microbleeds)[["i", "j", "k"]].to_numpy().tolist()
    assert marks == [[20, 30, 2], [40, 40, 4], [30, 50, 5]] * 2
    record = read_record(study.participants)
    assert record["parameters"].keys() == {"layout", "group", "scans"}
    assert record["parameters"]["layout"] == "toy"
    assert "no errors, no warnings" in run("check", study.root)
    run("preprocess", study.root, "--jobs", 1)
    for subject in ("sub-001", "sub-002"):
        assert study.swi(subject).is_file()


def test_marks_outside_its_volume_are_refused(run, scans, tmp_path):
    (scans / "001" / "marks.txt").write_text("64 0 0\n")
    with pytest.raises(AssertionError):
        run("import", "toy", scans, "-o", tmp_path / "study")
    assert not Study(tmp_path / "study").participants.exists()


@pytest.mark.parametrize("name", SOURCES)
def test_a_source_is_called_as_its_line_says(name):
    kind = load(SOURCES[name][0])
    assert kind.name == name
    assert kind.__doc__
