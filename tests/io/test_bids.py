"""BIDS sidecars: what describes the acquisition is taken, what describes a person is not."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cmb_toolkit.io.bids import echo_time_ms, part_of, read_acquisition

DCM2NIIX = {
    "Modality": "MR",
    "MagneticFieldStrength": 3,
    "ImagingFrequency": 123.25,
    "Manufacturer": "Siemens",
    "ManufacturersModelName": "Verio",
    "InstitutionName": "General Hospital",
    "InstitutionAddress": "Main Street 1",
    "DeviceSerialNumber": "45001",
    "StationName": "MRC1",
    "PatientName": "DOE^JANE",
    "PatientID": "0815",
    "PatientBirthDate": "1950-01-01",
    "AcquisitionTime": "11:25:15.000",
    "AcquisitionDateTime": "2019-03-04T11:25:15",
    "SeriesInstanceUID": "1.2.3",
    "ProtocolName": "swi doe jane",
    "SeriesDescription": "Mag_Images doe",
    "ImageType": ["ORIGINAL", "PRIMARY", "P", "ND"],
    "SoftwareVersions": "syngo MR B17",
    "EchoTime": 0.02,
    "RepetitionTime": 0.027,
    "FlipAngle": 15,
}


def write(folder, content):
    path = folder / "scan.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def test_the_acquisition_is_taken_and_nobody_is_named(tmp_path):
    found = read_acquisition(write(tmp_path, DCM2NIIX))
    assert found["EchoTime"] == 0.02
    assert found["Manufacturer"] == "Siemens"
    assert found["ImageType"] == ["ORIGINAL", "PRIMARY", "P", "ND"]
    assert found["SoftwareVersions"] == "syngo MR B17"
    text = json.dumps(found).casefold()
    for private in ("doe", "0815", "1950", "hospital", "street", "45001", "mrc1", "11:25", "2019", "1.2.3"):
        assert private not in text


@pytest.mark.parametrize(
    "content", ["", "no json", "[1, 2]", "null", '"EchoTime"', '{"EchoTime": {"a": 1}}', "[" * 5000]
)
def test_what_is_no_sidecar_says_nothing(tmp_path, content):
    assert read_acquisition(write(tmp_path, content)) == {}


def test_none_is_none(tmp_path):
    assert read_acquisition(tmp_path / "scan.json") == {}


def test_odd_values_are_left_out(tmp_path):
    odd = {
        "EchoTime": float("nan"),
        "Manufacturer": "x" * 500,
        "ScanOptions": "a\nb",
        "ImageType": [["a"]],
        "FlipAngle": 9,
    }
    assert read_acquisition(write(tmp_path, odd)) == {"FlipAngle": 9}


@pytest.mark.parametrize(
    ("acquisition", "echo", "expected"),
    [
        ({"EchoTime": 0.02}, None, 20.0),
        ({"EchoTime": 0.02}, 3, 20.0),
        ({"EchoTime": [0.004, 0.008]}, 2, 8.0),
        ({"EchoTime": [0.004, 0.008]}, None, None),
        ({"EchoTime": [0.004, 0.008]}, 3, None),
        ({"EchoTime": "0.02"}, None, None),
        ({"EchoTime": True}, None, None),
        ({"EchoTime": -1}, None, None),
        ({}, None, None),
    ],
)
def test_echo_time(acquisition, echo, expected):
    assert echo_time_ms(acquisition, echo) == expected


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("sub-01_part-mag_T2starw.nii.gz", "mag"),
        ("sub-01_echo-1_part-phase_GRE.nii", "phase"),
        ("part-real.nii.gz", "real"),
        ("sub-01_part-imag_T2starw.nii.gz", "imag"),
        ("sub-01_part-magnificent_T2starw.nii.gz", None),
        ("counterpart-mag.nii.gz", None),
        ("mag.nii.gz", None),
    ],
)
def test_part_in_a_name(name, part):
    assert part_of(Path("part-mag") / name) == part
