"""What the method cannot see, and what overflowed, is said by `preprocess` and by `check` in the same words."""

import json

import nibabel as nib
import numpy as np
import pytest

from cmb_toolkit.errors import DataError
from cmb_toolkit.imaging.recipe import Preprocessing
from cmb_toolkit.io.nifti import read_volume
from cmb_toolkit.steps.check import check_scan
from cmb_toolkit.steps.preprocess import preprocess_scan
from cmb_toolkit.study.scan import Scan
from cmb_toolkit.study.scan_content import check_signal
from cmb_toolkit.study.scan_limits import method_doubts

SEEN = "this method will not see microbleeds there"


def quiet(done, total, what):
    pass


def scan(folder, zooms=(0.8, 0.8, 2.0), name="phase", magnitude=None, dtype=np.float32, **facts):
    rng = np.random.default_rng(0)
    folder.mkdir(parents=True, exist_ok=True)
    phase = rng.uniform(-np.pi, np.pi, (30, 32, 6))
    phase.flat[:2] = -np.pi, np.pi
    signal = 500 + 20 * rng.standard_normal(phase.shape) if magnitude is None else magnitude
    for stem, data, kind in (("mag", signal, dtype), (name, phase, np.float32)):
        nib.save(nib.Nifti1Image(data.astype(kind), np.diag([*zooms, 1])), folder / f"{stem}.nii.gz")
    if facts:
        (folder / "mag.json").write_text(json.dumps(facts))
    return Scan("scan", folder / f"{name}.nii.gz", folder / "mag.nii.gz")


def doubts(one):
    return method_doubts(one, read_volume(one.magnitude).zooms, None)


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        ({}, []),
        ({"zooms": (1.5, 1.5, 4.0), "EchoTime": 0.008}, []),
        ({"zooms": (0.8, 1.6, 2.0)}, ["voxels of 1.6 mm in the slice (more than 1.5 mm)"]),
        ({"zooms": (0.8, 0.8, 5.0)}, ["slices of 5 mm (more than 4 mm)"]),
        ({"EchoTime": 0.005}, ["an echo time of 5 ms (less than 8 ms)"]),
        ({"EchoTime1": 0.00492, "EchoTime2": 0.00738}, ["a phase that is the difference of two echoes (a field map)"]),
        ({"name": "sub-1_phasediff"}, ["a phase that is the difference of two echoes (a field map)"]),
        ({"zooms": (2.0, 2.0, 6.0)}, ["voxels of 2 mm", "slices of 6 mm"]),
    ],
)
def test_what_the_method_does_not_see(tmp_path, made, expected):
    found = doubts(scan(tmp_path, **made))
    assert len(found) == len(expected)
    for text, part in zip(found, expected, strict=True):
        assert text.startswith(part)
        assert text.endswith(SEEN)


def test_check_and_preprocess_say_so_alike(tmp_path):
    one = scan(tmp_path, zooms=(1.8, 1.8, 5.0), EchoTime=0.004)
    settings = Preprocessing(brain_mask="none")
    made = preprocess_scan(one, tmp_path / "out", settings, on_progress=quiet).scans[0].warnings
    checked = [problem.message for problem in check_scan(one, on_progress=quiet).problems]
    assert [text for text in made if SEEN in text] == list(doubts(one))
    assert [text for text in checked if SEEN in text] == [f"scan: {doubt}." for doubt in doubts(one)]
    assert len(doubts(one)) == 3


def test_overflowed_voxels_are_counted_and_refused_by_both(tmp_path):
    i, j, _ = np.indices((30, 32, 6))
    bright = 25000 + 12000 * np.exp(-((i - 15) ** 2 + (j - 16) ** 2) / 6)
    count = int((bright > 32767.5).sum())
    one = scan(tmp_path, magnitude=bright.astype(np.int64), dtype=np.int16)
    said = rf"mag\.nii\.gz: {count} voxels are strongly negative.*int16 overflow"
    with pytest.raises(DataError, match=said):
        preprocess_scan(one, tmp_path / "out", Preprocessing(brain_mask="none"), on_progress=quiet)
    (problem,) = check_scan(one, on_progress=quiet).errors
    assert f"{count} voxels are strongly negative" in problem.message


def test_few_negative_values_are_counted(tmp_path):
    signal = 500 + np.random.default_rng(0).standard_normal((30, 32, 6))
    signal[0, 0, :3] = -2
    one = scan(tmp_path, magnitude=signal)
    assert check_signal("magnitude", read_volume(one.magnitude)) == (
        "3 of its 5,760 values are negative and count as 0",
    )
    (problem,) = check_scan(one, on_progress=quiet).problems
    assert "3 of its 5,760 values are negative" in problem.message
