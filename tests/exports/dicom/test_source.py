"""Which frames an image was made of, among all that lie in a folder."""

import numpy as np
import pytest
from dicom_series import MAGNITUDE, PHASE, ge_complex, philips, philips_enhanced, siemens

from cmb_toolkit.errors import DataError, MissingError
from cmb_toolkit.exports.dicom.pages import pages
from cmb_toolkit.exports.dicom.report import measurement_report
from cmb_toolkit.exports.dicom.segmentation import planes_of, segmentation
from cmb_toolkit.exports.dicom.source import source_of
from cmb_toolkit.io.dicom import KINDS, converted
from cmb_toolkit.io.dicom_frames import header, pixels, series_in
from cmb_toolkit.io.nifti import read_volume

from .conftest import AFFINE, SHAPE


def kind(frame):
    """What the scanner says of a frame."""
    said = header(frame.path)
    if "PerFrameFunctionalGroupsSequence" in said:
        return said.PerFrameFunctionalGroupsSequence[frame.number].MRImageFrameTypeSequence[0].ComplexImageComponent
    return said.ImageType[3]


@pytest.mark.parametrize(("vendor", "expected"), [(philips, "M"), (philips_enhanced, "MAGNITUDE")])
def test_of_a_series_with_both_the_magnitudes_frames_are_taken(case, vendor, expected):
    source = case(vendor).made.source
    assert len(source.frames) == SHAPE[2]
    assert {kind(frame) for frame in source.frames} == {expected}


def test_frames_are_in_the_order_of_the_slices_and_hold_their_values(case):
    there = case(siemens)
    for number, frame in enumerate(there.made.source.frames):
        plane = there.image.data[:, :, number]
        assert np.array_equal(np.sort(pixels(frame).ravel()), np.sort(plane.ravel()))


def test_of_several_echoes_the_one_that_was_looked_at_is_found(tmp_path, values):
    magnitude, phase = values
    for echo in (8.0, 22.0):
        noisy = magnitude + np.random.default_rng(int(echo)).uniform(0, 0.5, SHAPE)
        tags = {"EchoTime": echo, "StudyInstanceUID": "1.2.3", "FrameOfReferenceUID": "1.2.4"}
        siemens(tmp_path / "dicom", noisy, phase, AFFINE, series="same", **tags)
    with converted(tmp_path / "dicom") as images:
        paths = {each.echo_time_ms: each.path for each in images if each.kind == "magnitude"}
        for echo, path in paths.items():
            source = source_of([read_volume(path)], series_in(tmp_path / "dicom"))
            assert source.series.number == MAGNITUDE
            assert {header(frame.path).EchoTime for frame in source.frames} == {echo}


def test_a_magnitude_that_was_computed_finds_the_scanners(case, tmp_path):
    made = case(ge_complex).made
    assert {int(header(frame.path)[0x0043102F].value) for frame in made.source.frames} == {0}


def test_the_same_voxels_of_somebody_else_are_refused(case, tmp_path, values):
    there = case(siemens)
    siemens(tmp_path / "other", values[0][::-1], values[1], AFFINE)
    with pytest.raises(DataError, match=f"series {MAGNITUDE}, {PHASE} lies on its voxels but holds other values"):
        source_of([there.image], series_in(tmp_path / "other"))


def test_a_copy_under_another_name_is_never_guessed_for(case, values):
    there = case(siemens)
    folder = there.made.source.frames[0].path.parent
    siemens(folder / "nobody", *values, AFFINE, PatientName="Anonymous")
    with pytest.raises(DataError, match=r"series of several examinations hold its values, in .*nobody"):
        source_of([there.image], series_in(folder))


@pytest.mark.parametrize(("off_mm", "taken"), [(0.004, True), (0.05, False), (300, False)])
def test_a_series_off_the_voxels_is_refused(case, tmp_path, values, off_mm, taken):
    there = case(siemens)
    moved = AFFINE.copy()
    moved[0, 3] += off_mm
    siemens(tmp_path / "other", *values, moved)
    if taken:
        assert source_of([there.image], series_in(tmp_path / "other")).series.number == MAGNITUDE
        return
    said = r"none of 2 DICOM series lies on its voxels; the nearest is 0\.06\d* voxels off, and 0\.01 is allowed"
    with pytest.raises(DataError, match=said if off_mm < 1 else "none of 2 DICOM series lies on its voxels. Give"):
        source_of([there.image], series_in(tmp_path / "other"))


def test_copies_other_files_and_damaged_ones_do_not_matter(case, tmp_path):
    folder = tmp_path / "dicom"
    case(siemens)
    (folder / "notes.txt").write_text("no DICOM")
    (folder / "damaged.dcm").write_bytes(bytes(128) + b"DICM" + b"\x02\x00")
    (folder / "again").mkdir()
    for path in sorted(folder.glob("*.dcm"))[:5]:
        (folder / "again" / path.name).write_bytes(path.read_bytes())
    assert sorted(len(series.frames) for series in series_in(folder)) == [SHAPE[2]] * 2
    (tmp_path / "empty").mkdir()
    with pytest.raises(MissingError, match="holds no MR image in DICOM that says where it lies"):
        series_in(tmp_path / "empty")


def test_what_was_written_before_may_lie_beside_the_series(case, tmp_path):
    there = case(siemens)
    folder = tmp_path / "dicom"
    planes = planes_of(there.made, there.labels, there.image.affine)
    objects = [segmentation(there.made, planes), measurement_report(there.made), *pages(there.made, there.image)]
    for number, each in enumerate(objects):
        each.save_as(folder / f"object-{number}.dcm")
    assert sorted(series.number for series in series_in(folder)) == [MAGNITUDE, PHASE]
    with converted(folder) as images:
        assert sorted(each.kind for each in images if each.kind in KINDS) == ["magnitude", "phase"]


def test_pixels_that_cannot_be_decoded_are_named(case):
    frame = case(siemens).made.source.frames[0]
    frame.path.write_bytes(frame.path.read_bytes()[:-100])
    with pytest.raises(DataError, match=f"{frame.path.name}: its pixels cannot be decoded"):
        pixels(frame)
