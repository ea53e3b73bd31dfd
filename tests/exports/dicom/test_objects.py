"""SEG, SR and pages: the same findings at the same places, as other programs read them."""

import shutil
import subprocess
from dataclasses import replace

import highdicom as hd
import numpy as np
import pydicom
import pytest
from dicom_series import ge, philips, philips_enhanced, siemens
from nibabel.affines import apply_affine

from cmb_toolkit.errors import DataError
from cmb_toolkit.exports.dicom import codes
from cmb_toolkit.exports.dicom.pages import pages
from cmb_toolkit.exports.dicom.report import measurement_report
from cmb_toolkit.exports.dicom.segmentation import planes_of, segmentation
from cmb_toolkit.regions.atlas import REGIONS

VENDORS = [siemens, philips, philips_enhanced, ge]
WORLD = ["x_mm", "y_mm", "z_mm"]


def segmented(there, **how):
    return segmentation(there.made, planes_of(there.made, there.labels, there.image.affine), **how)


def saved(made, folder, name="object.dcm"):
    made.save_as(folder / name)
    return folder / name


def on_the_volume(path, there):
    """A SEG's labels on the voxels of the image, through the positions that the SEG itself states."""
    seg = hd.seg.segread(path)
    labels = np.zeros(there.labels.shape, int)
    volume = seg.get_volume(combine_segments=True)
    to_ras = np.diag([-1.0, -1.0, 1.0, 1.0]) @ volume.affine
    places = np.argwhere(volume.array > 0)
    voxels = apply_affine(np.linalg.inv(there.image.affine) @ to_ras, places)
    assert np.abs(voxels - np.rint(voxels)).max() < 0.01
    labels[tuple(np.rint(voxels).astype(int).T)] = volume.array[tuple(places.T)]
    return labels


@pytest.mark.parametrize(
    ("vendor", "labelmap"), [*((vendor, False) for vendor in VENDORS), (siemens, True), (philips_enhanced, True)]
)
def test_the_labels_come_back_as_they_were(case, tmp_path, vendor, labelmap):
    there = case(vendor)
    path = saved(segmented(there, labelmap=labelmap), tmp_path)
    assert np.array_equal(on_the_volume(path, there), there.labels)
    seg = pydicom.dcmread(path)
    described = [each for each in seg.SegmentSequence if each.SegmentNumber]
    assert [each.SegmentNumber for each in described] == [1, 2, 3]
    assert [each.SegmentLabel for each in described] == ["microbleed 1", "microbleed 2", "microbleed 3"]
    assert seg.PatientName == "Planted^Name"
    assert seg.FrameOfReferenceUID == there.made.images[0].FrameOfReferenceUID


@pytest.mark.parametrize("vendor", VENDORS)
def test_each_frame_refers_to_the_frame_that_it_was_made_of(case, vendor):
    there = case(vendor)
    seg = segmented(there)
    frames = {}
    for frame in there.made.source.frames:
        said = pydicom.dcmread(frame.path, stop_before_pixels=True)
        number, place = None, said
        if there.made.source.series.many:
            number, place = frame.number + 1, said.PerFrameFunctionalGroupsSequence[frame.number]
            place = place.PlanePositionSequence[0]
        frames[said.SOPInstanceUID, number] = place.ImagePositionPatient
    for own in seg.PerFrameFunctionalGroupsSequence:
        (image,) = own.DerivationImageSequence[0].SourceImageSequence
        position = frames[image.ReferencedSOPInstanceUID, image.get("ReferencedFrameNumber")]
        assert own.PlanePositionSequence[0].ImagePositionPatient == position


@pytest.mark.parametrize("vendor", [siemens, philips_enhanced])
def test_points_sizes_and_probabilities_are_in_the_report(case, tmp_path, vendor):
    there = case(vendor)
    there.made.findings["region"] = ["frontal", "thalamus", "nowhere"]
    there.made.findings["side"] = ["left", "midline", None]
    there.made.findings["next_region"], there.made.findings["border"] = "insula", [True, False, None]
    report = hd.sr.srread(saved(measurement_report(there.made), tmp_path))
    assert (report.PreliminaryFlag, report.VerificationFlag) == ("PRELIMINARY", "UNVERIFIED")
    groups = report.content.get_planar_roi_measurement_groups()
    points = np.array([group.roi.value[0] for group in groups]) * (-1, -1, 1)
    np.testing.assert_allclose(points, there.made.findings[WORLD], atol=1e-4)
    sites = [site for group in groups for site in group.finding_sites]
    sites = [(site.value.value, site.laterality and site.laterality.value) for site in sites]
    assert sites == [("83251001", "7771000"), ("36169008", "7771000"), ("119406000", None), ("12738006", None)]
    measured = [{each.name.meaning: each.value for each in group.get_measurements()} for group in groups]
    assert measured[0] == {"Diameter": 3.2, "Volume": 20, "Probability of being a microbleed": 0.8}
    assert measured[1] == {"Probability of being a microbleed": 0.5}, "what is long has no size"
    assert {group.finding_type.value for group in groups} == {"723857007"}
    (all_,) = report.content.get_image_measurement_groups()
    assert [each.value for each in all_.get_measurements()] == [3]
    assert [each.value.value for each in all_.get_qualitative_evaluations()][-2:] == ["260373001", "amber"]
    tracked = [(group.tracking_identifier, group.tracking_uid) for group in groups]
    assert tracked == [(each.TrackingID, each.TrackingUID) for each in segmented(there).SegmentSequence]


def test_every_region_and_side_of_the_table_has_a_code():
    assert set(codes.REGIONS) == set(REGIONS)
    assert {code for code, scheme, _ in codes.REGIONS.values() if scheme != "SCT"} == {"basal-ganglia"}
    assert len(set(codes.REGIONS.values())) == len(REGIONS)


def test_without_calibration_the_score_is_called_a_score(case, tmp_path):
    there = case(siemens)
    there.made.findings["probability"] = np.nan
    content = hd.sr.srread(saved(measurement_report(there.made), tmp_path)).content
    named = [each.name.value for each in content.get_planar_roi_measurement_groups()[0].get_measurements()]
    assert named == ["81827009", "118565006", "score"]


def test_a_report_of_none_says_that_none_was_found(case, tmp_path):
    there = case(siemens, findings=0)
    content = hd.sr.srread(saved(measurement_report(there.made), tmp_path)).content
    assert not content.get_planar_roi_measurement_groups()
    (all_,) = content.get_image_measurement_groups()
    assert [each.value for each in all_.get_measurements()] == [0]
    assert [each.value.meaning for each in all_.get_qualitative_evaluations()][-2] == "Not detected"
    assert len(pages(there.made, there.image)) == 1


def test_the_same_result_has_the_same_uids_and_another_has_others(case):
    there = case(siemens)
    first, again = segmented(there), segmented(there)
    assert first.SOPInstanceUID == again.SOPInstanceUID
    other = replace(there, made=replace(there.made, identity="1" * 64))
    assert segmented(other).SOPInstanceUID != first.SOPInstanceUID
    report, pictures = measurement_report(there.made), pages(there.made, there.image)[0]
    series = [each.SeriesInstanceUID for each in (first, report, pictures, segmented(there, labelmap=True))]
    assert len(set(series)) == 4
    assert report.StudyInstanceUID == first.StudyInstanceUID == there.made.images[0].StudyInstanceUID


def test_labels_of_another_grid_and_a_series_without_a_frame_of_reference_are_refused(case):
    there = case(siemens)
    off = there.image.affine.copy()
    off[:3, 3] += 0.02 * off[:3, 0]
    with pytest.raises(DataError, match=r"do not lie on the voxels of the label map, within 0\.01"):
        planes_of(there.made, there.labels, off)
    for frame in there.made.source.frames:
        stored = pydicom.dcmread(frame.path)
        del stored.FrameOfReferenceUID
        stored.save_as(frame.path)
    with pytest.raises(DataError, match=r"has no FrameOfReferenceUID, to which SEG and SR refer"):
        measurement_report(there.made)


@pytest.mark.parametrize(
    ("characters", "name"),
    [
        ("ISO_IR 100", "Müller^Jörg"),
        (["", "ISO 2022 IR 87"], "Yamada^Tarou=山田^太郎=やまだ^たろう"),
        ("GB18030", "Wang^XiaoDong=王^小东"),
    ],
)
def test_a_name_in_any_script_stays_what_it_is(case, tmp_path, characters, name):
    there = case(siemens, PatientName=name, SpecificCharacterSet=characters)
    for each in (segmented(there), measurement_report(there.made), pages(there.made, there.image)[0]):
        assert str(pydicom.dcmread(saved(each, tmp_path)).PatientName) == name


def test_findings_in_one_voxel_are_all_described(case, tmp_path):
    there = case(siemens)
    there.labels[there.labels == 2] = 0
    seg = pydicom.dcmread(saved(segmented(there), tmp_path))
    assert [each.SegmentNumber for each in seg.SegmentSequence] == [1, 2, 3]
    assert np.array_equal(on_the_volume(tmp_path / "object.dcm", there), there.labels)


def test_a_series_that_was_made_anonymous_will_do(case):
    there = case(siemens)
    for frame in there.made.source.frames:
        stored = pydicom.dcmread(frame.path)
        for name in ("PatientName", "PatientBirthDate", "PatientSex", "StudyID", "AccessionNumber", "StudyDate"):
            delattr(stored, name)
        stored.save_as(frame.path)
    assert measurement_report(there.made).PatientID == "007"
    assert segmented(there).PatientName == ""


@pytest.mark.skipif(shutil.which("dciodvfy") is None, reason="no dciodvfy here (dicom3tools)")
@pytest.mark.parametrize(("vendor", "findings"), [*((vendor, 3) for vendor in VENDORS), (siemens, 0)])
def test_the_standards_checker_has_nothing_to_say(case, tmp_path, vendor, findings):
    there = case(vendor, findings)
    objects = [measurement_report(there.made), *pages(there.made, there.image)]
    objects += [segmented(there)] if findings else []
    for each in objects:
        path = saved(each, tmp_path)
        said = subprocess.run(["dciodvfy", path], capture_output=True, text=True, check=False)
        lines = [line for line in (said.stdout + said.stderr).splitlines()[1:] if "99CMBTK" not in line]
        assert lines == [], "but that it does not know the toolkit's own codes"


@pytest.mark.skipif(shutil.which("dsrdump") is None, reason="no dsrdump here (dcmtk)")
def test_dcmtk_reads_the_whole_report(case, tmp_path):
    there = case(siemens)
    path = saved(measurement_report(there.made), tmp_path)
    said = subprocess.run(["dsrdump", path], capture_output=True, text=True, check=True)
    assert "Preliminary Flag    : PRELIMINARY" in said.stdout
    assert "Verification Flag   : UNVERIFIED" in said.stdout
    assert said.stdout.count("SCOORD3D:") == 3
    assert said.stdout.count('"Finding")=(723857007,SCT,') == 4, "of all together and of each"
