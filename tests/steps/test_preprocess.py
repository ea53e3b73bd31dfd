"""From raw volumes to clean ones: a study, a single scan, reruns and everything that can be wrong."""

from __future__ import annotations

import errno
import json
import os
import re
import sys
from dataclasses import replace

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from cmb_toolkit.cli.main import cli
from cmb_toolkit.errors import DataError, MissingError, StorageError, UsageError
from cmb_toolkit.imaging.recipe import Preprocessing
from cmb_toolkit.io import publish as publish_module
from cmb_toolkit.io.nifti import read_volume
from cmb_toolkit.io.publish import read_record
from cmb_toolkit.io.tables import read_tsv, write_tsv
from cmb_toolkit.steps.check import check_study
from cmb_toolkit.steps.preprocess import preprocess, preprocess_scan
from cmb_toolkit.study.layout import Study
from cmb_toolkit.study.scan import Scan

ZOOMS = (1.5, 1.5, 3.0)
SHAPE = (96, 112, 8)


def quiet(done, total, what):
    pass


def scan_arrays(seed=0):
    """Magnitude and wrapped, paramagnetic-positive phase of a slab through a head with vessels and one microbleed."""
    rng = np.random.default_rng(seed)
    x, y = ((np.arange(n) - (n - 1) / 2) * 2.0 for n in SHAPE[:2])
    radius2 = (x[:, None, None] / 64) ** 2 + (y[None, :, None] / 80) ** 2 + np.zeros(SHAPE)
    signal = np.where(radius2 < 1, 1.0, np.where(radius2 < 1.2, 0.08, np.where(radius2 < 1.4, 0.8, 0)))
    phase = 0.05 * x[:, None, None] + 0.04 * y[None, :, None] + np.zeros(SHAPE)
    for i, j in zip(rng.integers(30, 66, 60), rng.integers(30, 82, 60), strict=True):
        signal[i, j] = 0.45
        phase[i, j] += 0.9
    signal[48, 56, 3:6] = 0.3
    phase[48, 56, 3:6] += 1.2
    image = signal * np.exp(1j * phase) + 0.03 * (rng.standard_normal(SHAPE) + 1j * rng.standard_normal(SHAPE))
    return np.abs(image).astype(np.float32), np.angle(image).astype(np.float32)


MAGNITUDE, PHASE = scan_arrays()
BRAIN = np.repeat(
    (((np.arange(96) - 47.5) / 32)[:, None] ** 2 + ((np.arange(112) - 55.5) / 40) ** 2 < 1)[:, :, None], 8, 2
)
AFFINE = np.diag([*ZOOMS, 1.0])


def save(path, data, affine=AFFINE, codes="RAS"):
    path.parent.mkdir(parents=True, exist_ok=True)
    image = nib.Nifti1Image(np.asarray(data, np.float32), affine)
    if codes != "RAS":
        turn = nib.orientations.ornt_transform(*(nib.orientations.axcodes2ornt(c) for c in ("RAS", codes)))
        image = image.as_reoriented(turn)
    nib.save(image, path)
    return path


def make_study(root, subjects=2, **columns):
    """A study whose scans have a brain mask, unless ``mask=None`` is given."""
    study = Study.create(root, "test")
    rows = []
    for n in range(1, subjects + 1):
        name = f"sub-{n:03d}"
        magnitude, phase = scan_arrays(n)
        save(study.scans / name / "mag.nii.gz", magnitude)
        save(study.scans / name / "pha.nii.gz", phase)
        save(study.scans / name / "brain.nii.gz", BRAIN)
        rows.append(
            {
                "participant_id": name,
                "resolution": "slab",
                "scanner": "a",
                "group": "patient",
                "magnitude": f"scans/{name}/mag.nii.gz",
                "phase": f"scans/{name}/pha.nii.gz",
                "swi": None,
                "mask": f"scans/{name}/brain.nii.gz",
                "phase_sign": 1,
                "phase_range": None,
            }
            | columns
        )
    write_tsv(pd.DataFrame(rows), study.participants)
    return study


def pair(folder, magnitude=MAGNITUDE, phase=PHASE, mask=BRAIN, **kwargs):
    """A scan with its brain mask, which saves the time to find it."""
    return Scan(
        "scan",
        save(folder / "pha.nii.gz", phase, **kwargs),
        save(folder / "mag.nii.gz", magnitude, **kwargs),
        mask=None if mask is None else save(folder / "brain.nii.gz", mask, **kwargs),
    )


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    study = make_study(tmp_path_factory.mktemp("study") / "demo", mask=None)
    summary = preprocess(study.root, on_progress=quiet)
    assert (summary.made, summary.unchanged) == (2, 0)
    return study


def test_study_gets_its_volumes(study):
    magnitude, _ = scan_arrays(1)
    mask = read_volume(study.mask("sub-001")).data > 0
    assert 2 * (mask & BRAIN).sum() / (mask.sum() + BRAIN.sum()) > 0.95
    swi, filtered = (read_volume(p("sub-001")).data for p in (study.swi, study.phase))
    for place in (study.magnitude, study.swi, study.phase):
        assert (read_volume(place("sub-001")).data[~mask] == 0).all()
    np.testing.assert_array_equal(read_volume(study.magnitude("sub-001")).data[mask], magnitude[mask])
    # the microbleed: bright on phase, dark on SWI and on every minIP slice that reaches it
    assert filtered[48, 56, 4] > 0.9
    assert swi[48, 56, 4] < 0.3 * magnitude[48, 56, 4]
    assert np.median(swi[mask]) > 0.8
    assert read_volume(study.minip("sub-001")).data[48, 56, 2] < 0.2


def test_filtered_phase_has_no_background_left(study):
    filtered = read_volume(study.phase("sub-001")).data
    x, y = np.ogrid[: SHAPE[0], : SHAPE[1]]
    core = ((x - 47.5) / 25) ** 2 + ((y - 55.5) / 32) ** 2 < 1
    assert np.abs(np.median(filtered[core])) < 0.02
    assert np.median(np.abs(filtered[core])) < 0.05


def test_provenance_holds_parameters_and_findings_but_no_paths(study):
    record = read_record(study.subject("sub-001"))
    assert record["parameters"]["unwrap"] == "path"
    assert record["found"]["phase_unit"] == "radians, -pi..pi"
    assert record["found"]["warnings"] == []
    assert str(study.root) not in json.dumps(record)


def test_second_run_does_nothing_and_remembers(study):
    before = study.swi("sub-001").stat().st_mtime_ns
    summary = preprocess(study.root, on_progress=quiet)
    assert (summary.made, summary.unchanged) == (0, 2)
    assert study.swi("sub-001").stat().st_mtime_ns == before
    assert summary.scans[0].brain_ml > 100


def test_changed_scans_and_settings_are_done_again(tmp_path):
    study = make_study(tmp_path / "s")
    preprocess(study.root, on_progress=quiet)
    save(study.scans / "sub-002" / "mag.nii.gz", scan_arrays(7)[0])
    summary = preprocess(study.root, on_progress=quiet)
    assert [scan.made for scan in summary.scans] == [False, True]
    assert preprocess(study.root, Preprocessing(swi_power=2), subjects=["sub-001"], on_progress=quiet).made == 1
    assert preprocess(study.root, Preprocessing(swi_power=2), on_progress=quiet).made == 1  # only sub-002 was left


def test_workers_give_the_same_files(study, tmp_path):
    other = make_study(tmp_path / "s", mask=None)
    preprocess(other.root, jobs=2, on_progress=quiet)
    for place in ("swi", "phase", "mask", "minip"):
        assert getattr(study, place)("sub-002").read_bytes() == getattr(other, place)("sub-002").read_bytes()


@pytest.mark.parametrize("codes", ["LPS", "LAI", "PSL", "IPR"])
def test_outputs_lie_on_the_grid_of_the_file(tmp_path, codes):
    preprocess_scan(pair(tmp_path / "ras"), tmp_path / "one", on_progress=quiet)
    scan = pair(tmp_path / codes, codes=codes)
    preprocess_scan(scan, tmp_path / "two", on_progress=quiet)
    for role in ("swi", "phase", "mask", "minip", "magnitude"):
        other = nib.load(tmp_path / "two" / f"{role}.nii.gz")
        np.testing.assert_allclose(other.affine, nib.load(scan.phase).affine, atol=1e-5)
        assert other.shape == nib.load(scan.phase).shape
        expected = read_volume(tmp_path / "one" / f"{role}.nii.gz").data
        np.testing.assert_array_equal(read_volume(tmp_path / "two" / f"{role}.nii.gz").data, expected)


def test_sign_flip_of_file_and_setting_gives_identical_swi(tmp_path):
    for n, sign in (("a", 1), ("b", -1)):
        scan = pair(tmp_path / n, phase=sign * PHASE)
        report = preprocess_scan(replace(scan, phase_sign=sign), tmp_path / n / "out", on_progress=quiet).scans[0]
        assert not report.warnings
    one, two = (read_volume(tmp_path / n / "out" / "swi.nii.gz").data for n in ("a", "b"))
    np.testing.assert_allclose(one, two, atol=1e-5)


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("settings", [{}, {"highpass": "homodyne"}, {"unwrap": "laplacian"}])
def test_the_veins_tell_the_sign(tmp_path, sign, settings):
    preprocess_scan(pair(tmp_path / "a"), tmp_path / "right", Preprocessing(**settings), on_progress=quiet)
    scan = pair(tmp_path / "b", phase=sign * PHASE)
    auto = Preprocessing(**settings, phase_sign="auto")
    report = preprocess_scan(scan, tmp_path / "out", auto, on_progress=quiet).scans[0]
    assert report.phase_sign.startswith(f"{sign:+d} from the veins: ")
    assert (
        "dark vessel-like voxels (100%) are positive" in report.phase_sign if sign > 0 else "(0%)" in report.phase_sign
    )
    assert not report.warnings
    for role in ("phase", "swi", "minip"):
        one, two = (read_volume(tmp_path / folder / f"{role}.nii.gz").data for folder in ("right", "out"))
        np.testing.assert_allclose(one, two, atol=2e-4)
    again = preprocess_scan(scan, tmp_path / "out", auto, on_progress=quiet).scans[0]
    assert (again.made, again.phase_sign) == (False, report.phase_sign)


def test_veins_that_do_not_tell_the_sign(tmp_path):
    noise = np.random.default_rng(0).normal(0, 0.2, SHAPE).astype(np.float32)
    scan = pair(tmp_path, phase=noise)
    settings = Preprocessing(phase_sign="auto", phase_range="radians")
    with pytest.raises(DataError, match=r"the sign of the phase is not to be seen.*--phase-sign \+1"):
        preprocess_scan(scan, tmp_path / "out", settings, on_progress=quiet)
    assert not (tmp_path / "out").exists()


def test_signs_of_the_table_go_before_the_option(tmp_path):
    study = make_study(tmp_path / "s", subjects=1, phase_sign=1)
    summary = preprocess(study.root, Preprocessing(phase_sign=-1), on_progress=quiet)
    assert summary.scans[0].phase_sign == "+1 as given"
    study = make_study(tmp_path / "t", subjects=1, phase_sign=None)
    result = run(study.root, "--phase-sign", "auto")
    assert "sub-001: phase sign +1 from the veins: " in result.output


def test_a_scanner_with_phases_of_both_signs_is_named(tmp_path):
    study = make_study(tmp_path / "s")
    save(study.scans / "sub-002" / "pha.nii.gz", -scan_arrays(2)[1])
    table = read_tsv(study.participants)
    table["phase_sign"] = [1, -1]
    write_tsv(table, study.participants)
    result = run(study.root)
    assert result.exit_code == 0, result.output
    assert "Warning: scanner a has phases of both signs (+1 for sub-001; -1 for sub-002)" in result.output
    assert "scanner a has phases of both signs" in "".join(
        p.message for p in check_study(study.root, on_progress=quiet).problems
    )
    table["scanner"] = ["a", "b"]
    write_tsv(table, study.participants)
    assert "both signs" not in run(study.root).output
    table["scanner"], table["phase_sign"] = "a", None
    write_tsv(table, study.participants)
    result = run(study.root, "--phase-sign", "auto")
    assert isinstance(result.exception, DataError), "what was seen contradicts itself"
    assert "scanner a has phases of both signs" in str(result.exception)
    assert "2 scans: 2 preprocessed" in result.output


def test_other_ways_to_weight(tmp_path):
    def made(name, **settings):
        preprocess_scan(pair(tmp_path / name), tmp_path / name / "out", Preprocessing(**settings), on_progress=quiet)
        return read_volume(tmp_path / name / "out" / "swi.nii.gz").data

    usual, extreme = made("a"), made("b", swi_scaling="extreme")
    assert extreme[48, 56, 4] < usual[48, 56, 4], "the same phase is nearer to the end of the scale"
    calcification = made("c", swi_polarity="diamagnetic")
    assert calcification[48, 56, 4] == pytest.approx(MAGNITUDE[48, 56, 4])
    assert read_record(tmp_path / "c" / "out")["parameters"]["swi_polarity"] == "diamagnetic"


def test_every_step_can_be_kept(tmp_path):
    out = tmp_path / "out"
    scan = pair(tmp_path)
    preprocess_scan(scan, out, Preprocessing(save_steps=True), on_progress=quiet)
    names = {path.name for path in out.iterdir()}
    assert {"wrapped.nii.gz", "unwrapped.nii.gz", "phasemask.nii.gz"} <= names
    wrapped, unwrapped, filtered, weight, swi, magnitude, mask = (
        read_volume(out / f"{role}.nii.gz").data
        for role in ("wrapped", "unwrapped", "phase", "phasemask", "swi", "magnitude", "mask")
    )
    inside = mask > 0
    np.testing.assert_allclose(np.angle(np.exp(1j * (unwrapped - wrapped)))[inside], 0, atol=1e-4)
    np.testing.assert_allclose(swi, magnitude * weight**4, atol=1e-4)
    assert (weight[inside & (filtered <= 0)] == 1).all()
    preprocess_scan(scan, out, Preprocessing(), on_progress=quiet)
    assert not (out / "unwrapped.nii.gz").exists(), "a rerun does not mix"


def test_wrong_sign_is_reported_and_not_flipped(tmp_path):
    report = preprocess_scan(pair(tmp_path, phase=-PHASE), tmp_path / "out", on_progress=quiet).scans[0]
    assert report.phase_sign.startswith("+1 assumed")
    (warning,) = report.warnings
    assert "sign looks wrong" in warning
    assert "set phase_sign -1" in warning
    assert read_volume(tmp_path / "out" / "phase.nii.gz").data[48, 56, 4] < -0.9


@pytest.mark.parametrize("unwrap", ["path", "laplacian"])
@pytest.mark.parametrize("highpass", ["gaussian", "homodyne"])
def test_every_method_finds_the_microbleed(tmp_path, unwrap, highpass):
    settings = Preprocessing(unwrap=unwrap, highpass=highpass)
    report = preprocess_scan(pair(tmp_path), tmp_path / "out", settings, on_progress=quiet).scans[0]
    assert not report.warnings
    assert read_volume(tmp_path / "out" / "phase.nii.gz").data[48, 56, 4] > 0.5


def test_units_do_not_matter(tmp_path):
    preprocess_scan(pair(tmp_path / "a"), tmp_path / "a/out", on_progress=quiet)
    siemens = pair(tmp_path / "b", phase=np.floor((PHASE + np.pi) / (2 * np.pi) * 4096) * 2 - 4096)
    preprocess_scan(siemens, tmp_path / "b/out", on_progress=quiet)
    one, two = (read_volume(tmp_path / n / "out" / "phase.nii.gz").data for n in ("a", "b"))
    assert np.median(np.abs(one - two)) < 0.002


def as_stored(folder, magnitude, phase, *, affine=AFFINE, kinds=("<f4", "<f4"), scaling=(None, None), suffix=".nii.gz"):
    """A scan as some site may store it: kinds of number with byte order, slopes and intercepts, geometry."""
    folder.mkdir(parents=True)
    paths = []
    for name, data, kind, slopes in zip(("mag", "pha"), (magnitude, phase), kinds, scaling, strict=True):
        header = nib.Nifti1Header(endianness=kind[0])
        header.set_data_dtype(np.dtype(kind))
        image = nib.Nifti1Image(np.asarray(data).astype(kind), affine, header)
        if slopes:
            image.header.set_slope_inter(*slopes)
        nib.save(image, folder / f"{name}{suffix}")
        paths.append(folder / f"{name}{suffix}")
    nib.save(nib.Nifti1Image(BRAIN.astype(np.uint8), affine), folder / "brain.nii.gz")
    return Scan("scan", paths[1], paths[0], mask=folder / "brain.nii.gz")


BITS = np.clip(np.floor((PHASE + np.pi) / (2 * np.pi) * 4096), 0, 4095)
GREY = np.rint(MAGNITUDE * 500)
TILT = np.array([[1, 0, 0], [0, np.cos(0.3), -np.sin(0.3)], [0, np.sin(0.3), np.cos(0.3)]])
OBLIQUE = np.eye(4)
OBLIQUE[:3, :3] = TILT @ np.diag(ZOOMS)
HABITS = {
    "Siemens, 12 bits": ({"kinds": ("<u2", "<u2")}, BITS, {}),
    "Siemens, scaled by the header": ({"kinds": ("<i2", "<i2"), "scaling": (None, (2, -4096))}, BITS, {}),
    "Philips, milliradians": ({"kinds": ("<f8", "<i2")}, np.rint(PHASE * 1000), {}),
    "GE, big-endian": ({"kinds": (">i2", ">f4")}, PHASE, {}),
    "GE, slices that alternate": ({}, np.angle(-np.exp(1j * PHASE) * (-1.0) ** np.arange(8)), {"fix_ge_phase": True}),
    "0 to 1": ({}, (PHASE + np.pi) / (2 * np.pi), {"phase_range": 1.0}),
    "0 to 2 pi": ({"kinds": ("<i4", "<f8")}, PHASE + np.pi, {}),
    "degrees": ({}, np.degrees(PHASE), {"phase_range": 360.0}),
    "no compression": ({"suffix": ".nii", "kinds": ("<u2", "<f4")}, PHASE, {}),
    "oblique": ({"affine": OBLIQUE}, PHASE, {}),
    "bytes for the magnitude": ({"kinds": ("<u1", "<f4")}, PHASE, {}),
}


@pytest.mark.parametrize("habit", HABITS)
def test_the_habits_of_sites_make_no_difference(tmp_path, habit):
    how, phase, settings = HABITS[habit]
    magnitude = np.clip(GREY, 0, 255) if "bytes" in habit else GREY
    preprocess_scan(as_stored(tmp_path / "a", magnitude, PHASE), tmp_path / "usual", on_progress=quiet)
    scan = as_stored(tmp_path / "b", magnitude, phase, **how)
    report = preprocess_scan(scan, tmp_path / "out", Preprocessing(**settings), on_progress=quiet).scans[0]
    assert [w for w in report.warnings if "it was undone" not in w] == []
    one, two = (read_volume(tmp_path / n / "phase.nii.gz").data for n in ("usual", "out"))
    assert np.abs(one - two)[BRAIN].max() < 0.01
    one, two = (read_volume(tmp_path / n / "swi.nii.gz").data for n in ("usual", "out"))
    np.testing.assert_allclose(one, two, atol=0.02 * one.max())


@pytest.mark.parametrize("shape", [(1, 1, 1), (2, 3, 1), (5, 4, 2), (12, 9, 1), (30, 3, 40), (3, 40, 2)])
@pytest.mark.parametrize(
    "settings", [{}, {"highpass": "homodyne"}, {"unwrap": "laplacian"}, {"swi_scaling": "extreme", "minip_slices": 50}]
)
def test_tiny_volumes(tmp_path, shape, settings):
    rng = np.random.default_rng(0)
    scan = pair(tmp_path, rng.uniform(1, 2, shape), rng.uniform(-3, 3, shape), None)
    settings = Preprocessing(**settings, brain_mask="none", phase_range="radians")
    if shape == (1, 1, 1):
        with pytest.raises(DataError, match="every voxel is"):
            preprocess_scan(scan, tmp_path / "out", settings, on_progress=quiet)
        return
    preprocess_scan(scan, tmp_path / "out", settings, on_progress=quiet)
    for role in ("phase", "swi", "minip"):
        volume = read_volume(tmp_path / "out" / f"{role}.nii.gz")
        assert volume.shape == shape
        assert np.isfinite(volume.data).all()


@pytest.mark.parametrize("zooms", [(0.4, 1.1, 3.0), (1.1, 0.4, 3.0), (2.0, 2.0, 9.0), (1.0, 1.0, 1.0)])
def test_voxels_of_any_shape(tmp_path, zooms):
    """Filters count in mm, so that a scan is filtered alike whatever its voxels' sides."""
    scan = pair(tmp_path, affine=np.diag([*zooms, 1.0]))
    preprocess_scan(scan, tmp_path / "out", on_progress=quiet)
    assert read_volume(tmp_path / "out" / "phase.nii.gz").data[48, 56, 4] > 0.8
    assert read_volume(tmp_path / "out" / "swi.nii.gz").zooms == pytest.approx(zooms)


def test_unknown_unit_is_refused_and_given_span_is_taken(tmp_path):
    scan = pair(tmp_path, phase=PHASE * 0.003674 / np.pi)
    with pytest.raises(DataError, match=r"pha\.nii\.gz: the unit of the phase is not known.*--phase-range SPAN"):
        preprocess_scan(scan, tmp_path / "out", on_progress=quiet)
    assert not (tmp_path / "out").exists()
    report = preprocess_scan(scan, tmp_path / "out", Preprocessing(phase_range=0.007348), on_progress=quiet).scans[0]
    assert report.phase_unit == "0.007348 per cycle, as given"
    assert read_volume(tmp_path / "out" / "phase.nii.gz").data[48, 56, 4] > 0.9


def test_phase_range_of_the_table(tmp_path):
    study = make_study(tmp_path / "s", subjects=1, phase_range="radians")
    assert preprocess(study.root, on_progress=quiet).scans[0].phase_unit == "radians, as given"
    study = make_study(tmp_path / "t", subjects=1, phase_range=2 * np.pi)
    assert "6.28" in preprocess(study.root, on_progress=quiet).scans[0].phase_unit


def test_filtered_phase_is_only_converted(tmp_path):
    filtered = np.where(MAGNITUDE > 0.3, np.random.default_rng(0).normal(0, 0.3, SHAPE), 0).astype(np.float32)
    settings = Preprocessing(phase_is_filtered=True, phase_range="radians")
    preprocess_scan(pair(tmp_path, phase=filtered), tmp_path / "out", settings, on_progress=quiet)
    mask = read_volume(tmp_path / "out" / "mask.nii.gz").data > 0
    result = read_volume(tmp_path / "out" / "phase.nii.gz").data
    np.testing.assert_allclose(result[mask], filtered[mask], atol=1e-6)


def test_phase_that_is_not_filtered_though_it_was_said(tmp_path):
    settings = Preprocessing(phase_is_filtered=True)
    warnings = preprocess_scan(pair(tmp_path), tmp_path / "out", settings, on_progress=quiet).scans[0].warnings
    assert any("leave out --phase-is-filtered if it was not" in warning for warning in warnings)


@pytest.mark.parametrize("highpass", ["gaussian", "homodyne"])
def test_phase_that_was_filtered_though_nobody_said_so(tmp_path, highpass):
    scan = pair(tmp_path)
    settings = Preprocessing(highpass=highpass)
    (report,) = preprocess_scan(scan, tmp_path / "once", settings, on_progress=quiet).scans
    assert not any("--phase-is-filtered" in warning for warning in report.warnings)
    filtered = read_volume(tmp_path / "once" / "phase.nii.gz").data
    save(scan.phase, np.where(BRAIN, filtered, np.random.default_rng(0).uniform(-np.pi, np.pi, SHAPE)))
    (report,) = preprocess_scan(scan, tmp_path / "twice", settings, on_progress=quiet).scans
    assert sum("say --phase-is-filtered if it was" in warning for warning in report.warnings) == 1
    said = replace(settings, phase_is_filtered=True)
    (report,) = preprocess_scan(scan, tmp_path / "said", said, on_progress=quiet).scans
    assert not any("--phase-is-filtered" in warning for warning in report.warnings)


def test_own_mask_and_swi_are_taken(tmp_path):
    scan = replace(pair(tmp_path), magnitude=None, swi=save(tmp_path / "swi.nii.gz", MAGNITUDE * 3))
    preprocess_scan(scan, tmp_path / "out", on_progress=quiet)
    assert not (tmp_path / "out" / "magnitude.nii.gz").exists()
    np.testing.assert_array_equal(read_volume(tmp_path / "out" / "mask.nii.gz").data > 0, BRAIN)
    np.testing.assert_allclose(read_volume(tmp_path / "out" / "swi.nii.gz").data[BRAIN], MAGNITUDE[BRAIN] * 3)


def test_crop_needs_no_brain_mask(tmp_path):
    crop = np.s_[30:66, 36:76]
    scan = pair(tmp_path, MAGNITUDE[crop], PHASE[crop], None)
    with pytest.raises(DataError, match=r"mag\.nii\.gz: a field of view of 54 x 60 mm.*--brain-mask none"):
        preprocess_scan(scan, tmp_path / "out", on_progress=quiet)
    preprocess_scan(scan, tmp_path / "out", Preprocessing(brain_mask="none", phase_range="radians"), on_progress=quiet)
    assert read_volume(tmp_path / "out" / "phase.nii.gz").data[18, 20, 4] > 0.9


def test_complex_file_serves_as_both(tmp_path):
    nib.save(nib.Nifti1Image((MAGNITUDE * np.exp(1j * PHASE)).astype(np.complex64), AFFINE), tmp_path / "c.nii.gz")
    scan = Scan("scan", tmp_path / "c.nii.gz", tmp_path / "c.nii.gz", mask=save(tmp_path / "brain.nii.gz", BRAIN))
    preprocess_scan(scan, tmp_path / "out", on_progress=quiet)
    assert read_volume(tmp_path / "out" / "phase.nii.gz").data[48, 56, 4] > 0.9
    assert preprocess_scan(scan, tmp_path / "out", on_progress=quiet).unchanged == 1


def part_files(folder, magnitude=MAGNITUDE, phase=PHASE, **kwargs):
    """A scan of a real and an imaginary part."""
    return Scan(
        "scan",
        real=save(folder / "re.nii.gz", magnitude * np.cos(phase), **kwargs),
        imaginary=save(folder / "im.nii.gz", magnitude * np.sin(phase), **kwargs),
        mask=save(folder / "brain.nii.gz", BRAIN, **kwargs),
    )


@pytest.mark.parametrize("codes", ["RAS", "LPI"])
def test_real_and_imaginary_parts_are_magnitude_and_phase(tmp_path, codes):
    preprocess_scan(pair(tmp_path / "a"), tmp_path / "a/out", on_progress=quiet)
    report = preprocess_scan(part_files(tmp_path / "b", codes=codes), tmp_path / "b/out", on_progress=quiet).scans[0]
    assert report.phase_unit == "radians, of complex values"
    assert not report.warnings
    for role in ("magnitude", "phase", "swi", "minip"):
        one, two = (read_volume(tmp_path / n / "out" / f"{role}.nii.gz").data for n in ("a", "b"))
        np.testing.assert_allclose(one, two, atol=1e-4)


def test_a_phase_of_complex_values_needs_not_fill_the_cycle(tmp_path):
    scan = part_files(tmp_path, phase=0.2 * PHASE / np.pi)
    assert not preprocess_scan(scan, tmp_path / "out", on_progress=quiet).scans[0].warnings


def test_parts_that_lost_their_sign_are_refused(tmp_path):
    scan = part_files(tmp_path)
    for path, part in ((scan.real, np.cos(PHASE)), (scan.imaginary, np.sin(PHASE))):
        save(path, np.rint(2048 + 1000 * MAGNITUDE * part))
    with pytest.raises(DataError, match=r"re\.nii\.gz and .*im\.nii\.gz: no value is negative.*scaling was lost"):
        preprocess_scan(scan, tmp_path / "out", on_progress=quiet)


def test_parts_on_two_grids_are_refused(tmp_path):
    scan = part_files(tmp_path)
    save(scan.imaginary, PHASE[:, :, :-1])
    with pytest.raises(DataError, match=r"re\.nii\.gz and .*im\.nii\.gz: shapes"):
        preprocess_scan(scan, tmp_path / "out", on_progress=quiet)


def test_parts_in_a_study(tmp_path):
    study = make_study(tmp_path / "s", subjects=1)
    part_files(study.scans / "sub-001", *scan_arrays(1))
    usual = preprocess(study.root, on_progress=quiet)
    expected = read_volume(study.swi("sub-001")).data
    columns = {
        "magnitude": None,
        "phase": None,
        "real": "scans/sub-001/re.nii.gz",
        "imaginary": "scans/sub-001/im.nii.gz",
    }
    frame = pd.read_csv(study.participants, sep="\t", na_values="n/a").assign(**columns)
    write_tsv(frame, study.participants)
    assert usual.made == preprocess(study.root, on_progress=quiet).made == 1
    np.testing.assert_allclose(read_volume(study.swi("sub-001")).data, expected, atol=1e-4)
    assert check_study(study.root, on_progress=quiet).scans[0].phase_unit == "radians, of complex values"


STACKED = np.stack([MAGNITUDE, PHASE], 3)


def test_magnitude_and_phase_stacked_in_one_file(tmp_path):
    preprocess_scan(pair(tmp_path / "a"), tmp_path / "a/out", on_progress=quiet)
    both = save(tmp_path / "both.nii.gz", STACKED)
    scan = Scan("scan", both, both, mask=save(tmp_path / "brain.nii.gz", BRAIN))
    with pytest.raises(
        DataError, match=r"both\.nii\.gz: has 4 dimensions.*--phase-volume N where magnitude and phase lie"
    ):
        preprocess_scan(scan, tmp_path / "out", on_progress=quiet)
    with pytest.raises(DataError, match=r"magnitude and phase hold the same values.*--phase-volume"):
        preprocess_scan(scan, tmp_path / "out", Preprocessing(echo=1), on_progress=quiet)
    with pytest.raises(DataError, match=r"\d+% of its values are negative, which a magnitude has not"):
        preprocess_scan(scan, tmp_path / "out", Preprocessing(echo=2, phase_volume=1), on_progress=quiet)
    preprocess_scan(scan, tmp_path / "out", Preprocessing(echo=1, phase_volume=2), on_progress=quiet)
    one, two = (read_volume(folder / "swi.nii.gz").data for folder in (tmp_path / "a/out", tmp_path / "out"))
    np.testing.assert_array_equal(one, two)


def test_files_given_in_the_wrong_order(tmp_path):
    scan = pair(tmp_path)
    with pytest.raises(DataError, match=r"pha\.nii\.gz: \d+% of its values are negative.*Is it the phase\?"):
        preprocess_scan(replace(scan, phase=scan.magnitude, magnitude=scan.phase), tmp_path / "out", on_progress=quiet)


@pytest.mark.parametrize(
    ("role", "name"),
    [("magnitude", "part-phase"), ("phase", "part-mag"), ("phase", "part-imag"), ("magnitude", "part-real")],
)
def test_names_that_say_another_part(tmp_path, role, name):
    scan = pair(tmp_path)
    path = getattr(scan, role).rename(tmp_path / f"sub-01_{name}_T2starw.nii.gz")
    with pytest.raises(UsageError, match=rf"was given as the {role}, but {name} stands in its name"):
        preprocess_scan(replace(scan, **{role: path}), tmp_path / "out", on_progress=quiet)


def test_a_few_negative_magnitudes_become_zero(tmp_path):
    ringing = MAGNITUDE.copy()
    ringing[0, :20, 0] = -5
    ringing[48, 57, 4] = -1
    (warning,) = preprocess_scan(pair(tmp_path, ringing), tmp_path / "out", on_progress=quiet).scans[0].warnings
    assert re.search(r"magnitude: 21 of its [\d,]+ values are negative and count as 0", warning)
    assert read_volume(tmp_path / "out" / "minip.nii.gz").data.min() == 0
    assert read_volume(tmp_path / "out" / "magnitude.nii.gz").data[48, 57, 4] == 0


def test_nan_outside_the_brain_is_harmless_and_inside_is_left_out(tmp_path):
    phase = PHASE.copy()
    phase[:4] = np.nan
    report = preprocess_scan(pair(tmp_path / "a", phase=phase), tmp_path / "a/out", on_progress=quiet).scans[0]
    assert len(report.warnings) == 1
    assert "phase: 4.17% of its values were NaN" in report.warnings[0]
    phase[48:50] = np.nan
    report = preprocess_scan(pair(tmp_path / "b", phase=phase), tmp_path / "b/out", on_progress=quiet).scans[0]
    assert any("of the brain is NaN and was left out" in warning for warning in report.warnings)
    mask = read_volume(tmp_path / "b/out/mask.nii.gz").data > 0
    assert not mask[48:50].any()


def test_nan_in_much_of_the_brain_is_refused(tmp_path):
    phase = PHASE.copy()
    phase[40:] = np.nan
    with pytest.raises(DataError, match=r"pha\.nii\.gz: \d+% of the brain is NaN"):
        preprocess_scan(pair(tmp_path, phase=phase), tmp_path / "out", on_progress=quiet)
    assert not (tmp_path / "out").exists()
    assert not (tmp_path / "out.json").exists()


def test_disagreeing_grids(tmp_path):
    scan = pair(tmp_path)
    save(scan.phase, PHASE[:, :, :-1])
    with pytest.raises(DataError, match=r"mag\.nii\.gz and .*pha\.nii\.gz: shapes"):
        preprocess_scan(scan, tmp_path / "out", on_progress=quiet)
    save(scan.phase, PHASE, AFFINE + np.eye(4, k=3))
    with pytest.raises(DataError, match=r"corners lie up to 0\.667 voxels apart"):
        preprocess_scan(scan, tmp_path / "out", on_progress=quiet)


def test_slices_that_alternate_by_pi_are_reported(tmp_path):
    jumping = np.angle(np.exp(1j * (PHASE + np.pi * (np.arange(SHAPE[2]) % 2)))).astype(np.float32)
    report = preprocess_scan(pair(tmp_path / "a", phase=jumping), tmp_path / "a/out", on_progress=quiet).scans[0]
    assert any("jumps by about pi" in w and "undo it with --fix-ge-phase" in w for w in report.warnings)
    preprocess_scan(pair(tmp_path / "b"), tmp_path / "b/out", on_progress=quiet)
    expected = read_volume(tmp_path / "b/out" / "swi.nii.gz").data
    for fixed, phase in (("c", jumping), ("d", PHASE)):  # what does not alternate stays as it is
        scan, settings = pair(tmp_path / fixed, phase=phase), Preprocessing(fix_ge_phase=True)
        report = preprocess_scan(scan, tmp_path / fixed / "out", settings, on_progress=quiet).scans[0]
        assert [w for w in report.warnings if "it was undone" in w] == list(report.warnings)
        assert bool(report.warnings) == (fixed == "c")
        np.testing.assert_allclose(read_volume(tmp_path / fixed / "out/swi.nii.gz").data, expected, atol=1e-4)


def describe(path, **facts):
    path.with_name(path.name.removesuffix(".nii.gz") + ".json").write_text(json.dumps(facts))


def test_sidecars_are_read_for_the_record_and_never_for_the_sign(tmp_path):
    scan = pair(tmp_path)
    for path in (scan.magnitude, scan.phase):
        describe(path, EchoTime=0.02, Manufacturer="GE", PatientName="DOE^JANE", AcquisitionTime="11:25:15")
    report = preprocess_scan(scan, tmp_path / "out", on_progress=quiet).scans[0]
    assert not report.warnings
    assert report.phase_sign.startswith("+1 assumed")
    facts = {"EchoTime": 0.02, "Manufacturer": "GE"}
    assert read_record(tmp_path / "out")["acquisition"] == {"magnitude": facts, "phase": facts}
    assert "DOE" not in (tmp_path / "out.json").read_text()


def test_echo_times_that_disagree(tmp_path):
    scan = pair(tmp_path / "a")
    describe(scan.magnitude, EchoTime=0.0137)
    describe(scan.phase, EchoTime=0.02)
    (warning,) = preprocess_scan(scan, tmp_path / "a/out", on_progress=quiet).scans[0].warnings
    assert "magnitude 13.7 ms, phase 20 ms" in warning
    study = make_study(tmp_path / "s", subjects=1, echo_time_ms=13.7)
    describe(study.scans / "sub-001" / "pha.nii.gz", EchoTime=0.02)
    (warning,) = preprocess(study.root, on_progress=quiet).scans[0].warnings
    assert "the sidecar gives an echo time of 20 ms, participants.tsv 13.7 ms" in warning
    table = pd.read_csv(study.participants, sep="\t", na_values="n/a").assign(echo_time_ms=20.0)
    write_tsv(table, study.participants)
    summary = preprocess(study.root, on_progress=quiet)
    assert (summary.made, summary.scans[0].warnings) == (1, ())


def test_int16_holds_the_same_within_half_a_step(tmp_path):
    for kind in ("float32", "int16"):
        settings = Preprocessing(output_type=kind, save_steps=True)
        preprocess_scan(pair(tmp_path / kind), tmp_path / kind / "out", settings, on_progress=quiet)
    for path in sorted((tmp_path / "int16" / "out").iterdir()):
        one, two = (read_volume(tmp_path / kind / "out" / path.name).data for kind in ("float32", "int16"))
        image = nib.load(path)
        if path.name == "mask.nii.gz":
            assert image.get_data_dtype() == np.uint8
            continue
        assert image.get_data_dtype() == np.int16
        assert np.abs(one - two).max() <= 0.505 * np.abs(one).max() / 32767
        assert (two[one == 0] == 0).all()
    assert sum(1 for _ in (tmp_path / "int16" / "out").iterdir()) == 8


@pytest.fixture
def fsl(tmp_path, monkeypatch):
    """A stand-in for FSL's bet that takes everything above a share of the brightest."""
    program = tmp_path / "fsl" / "bin" / "bet"
    program.parent.mkdir(parents=True)
    program.write_text(
        f"#!{sys.executable}\nimport sys\nimport nibabel as nib\nimage = nib.load(sys.argv[1] + '.nii.gz')\n"
        "data = image.get_fdata()\nmask = (data > float(sys.argv[4]) * data.max()).astype('int16')\n"
        "nib.save(nib.Nifti1Image(mask, image.affine), sys.argv[2] + '_mask.nii.gz')\n"
    )
    program.chmod(0o755)
    monkeypatch.setenv("FSLDIR", str(tmp_path / "fsl"))


@pytest.mark.usefixtures("fsl")
def test_fsl_finds_the_brain_if_asked(tmp_path):
    scan = pair(tmp_path, mask=None, codes="LPI")
    settings = Preprocessing(brain_mask="fsl", bet_fraction=0.3)
    preprocess_scan(scan, tmp_path / "out", settings, on_progress=quiet)
    mask = read_volume(tmp_path / "out" / "mask.nii.gz").data > 0
    np.testing.assert_array_equal(mask, MAGNITUDE / MAGNITUDE.max() > 0.3)
    assert read_record(tmp_path / "out")["found"]["brain_mask"] == "FSL bet"


def thick_head(folder, brain, flesh, **kwargs):
    """A scan high enough for a head: a brain of so many ml and less bright flesh of so many ml around it."""
    x, y = ((np.arange(n) - (n - 1) / 2) * 2.0 for n in SHAPE[:2])
    area = np.pi * (x[:, None, None] ** 2 + y[None, :, None] ** 2) + np.zeros(SHAPE)
    head = np.where(area * 0.16 < brain, 1.0, np.where(area * 0.16 < brain + flesh, 0.62, 0.01))
    return pair(folder, magnitude=head, affine=np.diag([2.0, 2.0, 20.0, 1.0]), **kwargs)


@pytest.mark.usefixtures("fsl")
def test_another_fraction_where_the_mask_leaks(tmp_path):
    scan = thick_head(tmp_path, 1400, 1500, mask=None)
    settings = Preprocessing(brain_mask="fsl", bet_fraction=0.6)
    report = preprocess_scan(scan, tmp_path / "out", settings, on_progress=quiet).scans[0]
    assert report.brain_ml == pytest.approx(1400, rel=0.05)
    (warning,) = [w for w in report.warnings if "brain mask" in w]
    assert "at --bet-fraction 0.6 holds 29" in warning
    assert "taken was --bet-fraction 0.8 with 1" in warning
    assert read_record(tmp_path / "out")["found"]["brain_mask"] == "FSL bet, fraction 0.8"


@pytest.mark.usefixtures("fsl")
@pytest.mark.parametrize(
    ("brain", "advice"), [(2600, "too large.* a larger --bet"), (300, "too small.* a smaller --bet")]
)
def test_the_advice_for_an_impossible_brain_points_the_right_way(tmp_path, brain, advice):
    scan = thick_head(tmp_path, brain, 0, mask=None)
    settings = Preprocessing(brain_mask="fsl", bet_fraction=0.8 if brain > 1000 else 0.2)
    report = preprocess_scan(scan, tmp_path / "out", settings, on_progress=quiet).scans[0]
    assert [w for w in report.warnings if re.search(advice, w)]
    assert report.brain_ml == pytest.approx(brain, rel=0.05)


@pytest.mark.parametrize("given", [True, False])
def test_a_mask_larger_than_any_brain_is_reported_whoever_made_it(tmp_path, given):
    scan = thick_head(tmp_path, 1400, 0, mask=np.ones(SHAPE) if given else None)
    report = preprocess_scan(scan, tmp_path / "out", Preprocessing(brain_mask="none"), on_progress=quiet).scans[0]
    assert [w for w in report.warnings if "more than any brain" in w]
    small = preprocess_scan(pair(tmp_path / "b"), tmp_path / "two", on_progress=quiet).scans[0]
    assert not [w for w in small.warnings if "any brain" in w]


def test_fsl_that_is_not_there_stops_before_any_work(tmp_path, monkeypatch):
    monkeypatch.setenv("FSLDIR", str(tmp_path / "nowhere"))
    monkeypatch.setenv("PATH", str(tmp_path))
    study = make_study(tmp_path / "s", mask=None)
    with pytest.raises(MissingError, match=r"FSL's bet was not found \(FSLDIR is .*--brain-mask own"):
        preprocess(study.root, Preprocessing(brain_mask="fsl"), on_progress=quiet)
    assert not study.subject("sub-001").exists()
    with pytest.raises(MissingError, match="FSL's bet was not found"):
        preprocess_scan(pair(tmp_path, mask=None), tmp_path / "out", Preprocessing(brain_mask="fsl"), on_progress=quiet)
    masked = make_study(tmp_path / "t", subjects=1)  # nobody needs it here
    assert preprocess(masked.root, Preprocessing(brain_mask="fsl"), on_progress=quiet).made == 1


def test_one_bad_scan_does_not_stop_the_others(tmp_path):
    study = make_study(tmp_path / "s", subjects=4)
    (study.scans / "sub-001" / "pha.nii.gz").unlink()
    (study.scans / "sub-003" / "mag.nii.gz").write_bytes(b"no scan")
    run = CliRunner().invoke(cli, ["preprocess", str(study.root), "--jobs", "1"])
    assert isinstance(run.exception, DataError)
    first, second = str(run.exception).splitlines()
    assert first.startswith("sub-001: ")
    assert "pha.nii.gz: the phase of sub-001 was not found" in first
    assert second.startswith("sub-003: ")
    assert "mag.nii.gz: not a NIfTI file" in second
    assert "2 scans: 2 preprocessed" in run.output
    assert [study.subject(f"sub-00{n}").exists() for n in (1, 2, 3, 4)] == [False, True, False, True]
    save(study.scans / "sub-003" / "mag.nii.gz", MAGNITUDE)
    with pytest.raises(MissingError, match=r"^sub-001: .*pha\.nii\.gz"):
        preprocess(study.root, on_progress=quiet)
    assert study.subject("sub-003").exists()


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"phase": None}, "sub-001 needs a phase"),
        ({"magnitude": None}, "sub-001 needs a phase, and a magnitude or an SWI"),
        ({"phase_sign": 2}, "sub-001 has phase_sign 2"),
        ({"phase_range": "degrees"}, "sub-001 has phase_range 'degrees'"),
    ],
)
def test_impossible_rows(tmp_path, columns, message):
    study = make_study(tmp_path / "s", subjects=1, **columns)
    with pytest.raises(DataError, match=message):
        preprocess(study.root, on_progress=quiet)


def test_unknown_subject(study):
    with pytest.raises(UsageError, match="no subject sub-999"):
        preprocess(study.root, subjects=["sub-999"], on_progress=quiet)


def test_not_a_study(tmp_path):
    with pytest.raises(MissingError, match="not a study folder"):
        preprocess(tmp_path, on_progress=quiet)


def test_folders_of_others_are_never_replaced(tmp_path):
    study = make_study(tmp_path / "s", subjects=1)
    raw = study.subject("sub-001") / "anat" / "raw.nii.gz"
    save(raw, MAGNITUDE)
    with pytest.raises(UsageError, match=r"holds anat, which is not an output"):
        preprocess(study.root, on_progress=quiet)
    assert raw.exists()
    scan = pair(tmp_path / "in")
    with pytest.raises(UsageError, match="would be replaced"):
        preprocess_scan(scan, tmp_path / "in", on_progress=quiet)
    (tmp_path / "out.json").write_text("[1, 2]")
    with pytest.raises(UsageError, match=r"out\.json: is not of `cmbtk preprocess`"):
        preprocess_scan(scan, tmp_path / "out", on_progress=quiet)


@pytest.mark.parametrize(
    "values",
    [{"bet_fraction": 0.0}, {"bet_fraction": 1.0}, {"bet_gradient": 1.5}, {"swi_power": 0}, {"minip_slices": 0}],
)
def test_impossible_settings(values):
    with pytest.raises(UsageError, match="expected"):
        Preprocessing(**values)


def test_full_disk_leaves_nothing(tmp_path, monkeypatch):
    scan = pair(tmp_path)

    def full(path):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(publish_module, "_sync", full)
    with pytest.raises(StorageError, match="no space left"):
        preprocess_scan(scan, tmp_path / "out", on_progress=quiet)
    assert {p.name for p in tmp_path.iterdir()} == {"mag.nii.gz", "pha.nii.gz", "brain.nii.gz"}


def test_what_a_killed_run_left_is_replaced(tmp_path):
    """Between removing the old provenance and writing the new one there is a folder of ours without a sidecar."""
    scan = pair(tmp_path)
    preprocess_scan(scan, tmp_path / "out", on_progress=quiet)
    (tmp_path / "out.json").unlink()
    assert preprocess_scan(scan, tmp_path / "out", on_progress=quiet).made == 1


# ---- the command


def run(*arguments):
    return CliRunner().invoke(cli, ["preprocess", *map(str, arguments)])


def run_swi(*arguments):
    return CliRunner().invoke(cli, ["swi", *map(str, arguments)])


def test_command_on_a_study(study):
    result = run(study.root)
    assert result.exit_code == 0, result.output
    assert "2 scans: 0 preprocessed, 2 unchanged." in result.output
    assert "phase in radians, -pi..pi" in result.output


def test_command_on_one_scan_with_echoes(tmp_path):
    echoes = {"mag": np.stack([MAGNITUDE * 2, MAGNITUDE], 3), "pha": np.stack([PHASE / 3, PHASE], 3)}
    for name, data in echoes.items():
        save(tmp_path / f"{name}.nii.gz", data)
    files = (tmp_path / "mag.nii.gz", tmp_path / "pha.nii.gz", "-o", tmp_path / "out")
    result = run_swi(*files)
    assert isinstance(result.exception, DataError)
    assert "--echo N, 1 to 2" in str(result.exception)
    result = run_swi(*files, "--echo", 2, "--phase-sign", "auto", "--swi-power", 2)
    assert result.exit_code == 0, result.output
    assert "1 scan: 1 preprocessed" in result.output
    np.testing.assert_allclose(read_volume(tmp_path / "out" / "magnitude.nii.gz").data.max(), MAGNITUDE.max(), rtol=0.5)


def test_command_on_parts(tmp_path):
    scan = part_files(tmp_path)
    files = ("--real", scan.real, "--imaginary", scan.imaginary, "--mask", scan.mask, "-o", tmp_path / "out")
    result = run_swi(*files, "--phase-sign", "auto", "--output-type", "int16")
    assert result.exit_code == 0, result.output
    assert "re: phase sign +1 from the veins" in result.output


@pytest.mark.parametrize(
    "files", [("--real", "a"), ("--imaginary", "a"), ("a",), (), ("a", "b", "--real", "c", "--imaginary", "d")]
)
def test_command_without_half_of_its_files(tmp_path, files):
    result = run_swi(*files, "-o", tmp_path / "out")
    assert isinstance(result.exception, UsageError)
    assert "a scan needs" in str(result.exception)


def test_command_prints_warnings_with_the_name(tmp_path):
    study = make_study(tmp_path / "s", subjects=1, phase_sign=-1)
    result = run(study.root)
    assert result.exit_code == 0, result.output
    assert "Warning: sub-001: phase: the phase sign looks wrong" in result.output


def test_command_refuses_a_span_that_is_no_number():
    result = run("STUDY", "--phase-range", "degrees")
    assert result.exit_code == 2
    assert "neither a number nor radians" in result.output


def test_help_ends_in_an_example():
    result = run("--help")
    assert result.exit_code == 0
    assert "cmbtk preprocess demo" in result.output
