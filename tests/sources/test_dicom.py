"""A study from DICOM: what each image is, what belongs together, and that nobody is named."""

import gzip
import json

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
from dicom_series import MAGNITUDE, PHASE, ge, ge_complex, philips, philips_enhanced, siemens

from cmb_toolkit.errors import DataError, MissingError, UsageError
from cmb_toolkit.imaging.phase import phase_scale, to_radians
from cmb_toolkit.io.dicom import kind_of
from cmb_toolkit.io.publish import read_record
from cmb_toolkit.sources.dicom import Dicom
from cmb_toolkit.steps.import_ import import_

TURN = np.deg2rad(12)
AFFINE = np.array([
    [0.8, 0, 0, -18],
    [0, 0.8 * np.cos(TURN), -2 * np.sin(TURN), -16],
    [0, 0.8 * np.sin(TURN), 2 * np.cos(TURN), -9],
    [0, 0, 0, 1],
])  # fmt: skip
SHAPE = (48, 40, 10)
STUDY = "1.2.826.0.1.3680043.8.498.1"
IDENTIFYING = (b"Planted", b"19400401", b"20260102", b"1940-04-01", b"2026-01-02", b"101500", b"10:15", b"1.2.826")


def scan(seed=0):
    rng = np.random.default_rng(seed)
    return rng.uniform(0.1, 3, SHAPE).round(3), rng.uniform(-3.1, 3.1, SHAPE)


def imported(place, out, **options):
    notes = []
    import_(Dicom(**options), place, out, on_progress=lambda *_: None, notes=notes)
    return pd.read_csv(out / "participants.tsv", sep="\t", dtype=str), notes


@pytest.mark.parametrize(
    ("name", "types", "series", "kind"),
    [
        ("1.2_1_ph", "ORIGINAL PRIMARY P ND PHASE", "Pha_Images", "phase"),
        ("1.2_1", "ORIGINAL PRIMARY M ND NORM MAGNITUDE", "Mag_Images", "magnitude"),
        ("1.2_1", "ORIGINAL PRIMARY M SWI NORM MAGNITUDE", "SWI_Images", "swi"),
        ("1.2_1", "DERIVED PRIMARY MNIP SWI NORM", "mIP_Images(SW)", "projection"),
        ("1.2_1_pha", "ORIGINAL PRIMARY OTHER PHASE", "FILT_PHA: Ax SWAN", "phase"),
        ("1.2_1", "ORIGINAL PRIMARY OTHER MAGNITUDE", "Ax SWAN", "swi"),
        ("1.2_1", "DERIVED SECONDARY OTHER", "Ax SWAN MIN IP", "projection"),
        ("1.2_1_real", "ORIGINAL PRIMARY OTHER REAL", "Ax SWAN", "real"),
        ("1.2_1_imaginary", "ORIGINAL PRIMARY OTHER IMAGINARY", "Ax SWAN", "imaginary"),
        ("1.2_1", "ORIGINAL PRIMARY M_FFE M FFE MAGNITUDE", "T2_FFE", "magnitude"),
        ("1.2_1", "ORIGINAL PRIMARY M NONE MAGNITUDE", "t2_swi_tra_Mag", "magnitude"),
        ("1.2_1_fieldmaphz", "DERIVED PRIMARY OTHER", "B0map", "field map"),
        ("1.2_1", "DERIVED PRIMARY MIXED", "WIP Field_Mapping", ""),
        ("1.2_1", "ORIGINAL PRIMARY OTHER", "localizer", ""),
        ("1.2_1", "ORIGINAL PRIMARY M NONE MAGNITUDE", "gre_field_mapping", "magnitude"),
        ("1.2_1", "ORIGINAL PRIMARY M_FFE M FFE MAGNITUDE", "WIP fcMRI_Field_Mapping", "magnitude"),
        ("1.2_2_ph", "ORIGINAL PRIMARY P NONE PHASE", "gre_field_mapping", "phase"),
    ],
)
def test_what_each_image_is(name, types, series, kind):
    assert kind_of(name, {"ImageType": types.split(), "SeriesDescription": series}) == kind


def test_what_is_no_mr_image_is_none_of_a_scan():
    assert kind_of("x_e1_imaginary_real_ph", {"Modality": "SEG"}) == "no MR image"


@pytest.mark.parametrize(
    ("characters", "name"),
    [
        ("ISO_IR 100", "Müller^Jörg"),
        ("ISO_IR 192", "山田^太郎"),
        (["", "ISO 2022 IR 87"], "Yamada^Tarou=山田^太郎=やまだ^たろう"),
        (["", "ISO 2022 IR 149"], "Hong^Gildong=洪^吉洞=홍^길동"),
        ("GB18030", "Wang^XiaoDong=王^小东"),
    ],
)
def test_names_in_any_script_do_no_harm_and_do_not_stay(tmp_path, characters, name):
    siemens(tmp_path / "dicom/p1", *scan(), AFFINE, PatientName=name, SpecificCharacterSet=characters)
    people, _ = imported(tmp_path / "dicom", tmp_path / "study")
    assert people["echo_time_ms"].astype(float).tolist() == [20.0]
    texts = [path.read_bytes() for path in (tmp_path / "study").rglob("*") if path.suffix in (".json", ".tsv")]
    assert len(texts) > 5
    assert not [text for text in texts if not text.isascii() or name.partition("^")[0].encode() in text]


def test_a_phase_in_hz_is_a_field_map_and_one_of_two_echoes_a_difference():
    assert kind_of("x_ph", {"ImageType": ["PHASE"], "EchoTime1": 0.005, "EchoTime2": 0.007}) == "phase difference"
    assert kind_of("x_ph", {"ImageType": ["PHASE"], "Units": "Hz"}) == "field map"


def test_people_and_examinations_become_subjects_and_sessions_without_names(tmp_path):
    place, out = tmp_path / "dicom", tmp_path / "study"
    scans = {("p10", "a"): scan(1), ("p10", "b"): scan(2), ("p2", "a"): scan(3)}
    for (person, visit), (magnitude, phase) in scans.items():
        siemens(
            place / person / visit,
            magnitude,
            phase,
            AFFINE,
            PatientName=f"Planted^{person}",
            AcquisitionTime={"a": "101500", "b": "111500"}[visit],
        )
    people, notes = imported(place, out, key=tmp_path / "key.tsv")
    assert people["participant_id"].tolist() == ["sub-001", "sub-002_ses-1", "sub-002_ses-2"], "p2 before p10"
    assert people["person_id"].tolist()[1:] == ["sub-002"] * 2
    assert set(people["scanner"]) == {"Siemens Prisma"}
    assert people["echo_time_ms"].astype(float).tolist() == [20.0] * 3
    assert f"magnitude={MAGNITUDE}, phase={PHASE} (echo 20 ms) taken" in " ".join(notes)
    key = pd.read_csv(tmp_path / "key.tsv", sep="\t")
    assert dict(key.to_numpy()) == {"sub-001": "p2", "sub-002": "p10"}
    for subject, made in zip(people["participant_id"], ("p2 a", "p10 a", "p10 b"), strict=True):
        magnitude, phase = scans[tuple(made.split())]
        row = people.set_index("participant_id").loc[subject]
        image = nib.load(out / row["magnitude"])
        there = np.array([11, 7, 4])
        voxel = np.rint(np.linalg.solve(image.affine, AFFINE @ [*there, 1]))[:3].astype(int)
        np.testing.assert_allclose(image.affine @ [*voxel, 1], AFFINE @ [*there, 1], atol=1e-3)
        assert np.asarray(image.dataobj)[tuple(voxel)] == pytest.approx(1000 * magnitude[tuple(there)])
        stored = np.asarray(nib.load(out / row["phase"]).dataobj)[tuple(voxel)]
        assert stored * np.pi / 4096 == pytest.approx(phase[tuple(there)], abs=2e-3)
    left = [path for path in out.rglob("*") if path.is_file()]
    assert not [path for path in left if any(word in path.read_bytes() for word in IDENTIFYING)]
    assert not [path for path in out.rglob("*") if "p10" in path.name]
    sidecar = json.loads((out / "converted/sub-001/phase.json").read_text())
    assert sidecar["MagneticFieldStrength"] == 3
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*")}
    imported(place, out, key=tmp_path / "key.tsv")
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*")} == before, "nothing is converted twice"


def _values_at(path, there):
    """The value of a file at a voxel of the series, through the world, and all of its values."""
    image = nib.load(path)
    voxel = np.linalg.solve(image.affine, AFFINE @ [*there, 1])[:3]
    np.testing.assert_allclose(image.affine @ [*np.rint(voxel), 1], AFFINE @ [*there, 1], atol=1e-3)
    values = np.asarray(image.dataobj, np.float32)
    return values[tuple(np.rint(voxel).astype(int))], values


@pytest.mark.parametrize(
    ("vendor", "tags", "shown", "unit"),
    [
        (siemens, {"Manufacturer": "CANON_MEC"}, "magnitude", 1000),
        (siemens, {"Manufacturer": "UIH"}, "magnitude", 1000),
        (philips, {}, "magnitude", 2000),
        (philips, {"SeriesDescription": "SWIp"}, "swi", 2000),
        (philips_enhanced, {}, "magnitude", 2000),
        (ge, {}, "swi", 1000),
        (ge_complex, {}, None, 1000),
    ],
)
def test_every_vendors_values_are_taken_where_they_are(tmp_path, vendor, tags, shown, unit):
    magnitude, phase = scan(5)
    phase[0, 0], magnitude[0, 0] = np.linspace(-np.pi, np.pi, SHAPE[2]).clip(-3.1414, 3.1414), 1
    vendor(tmp_path / "dicom" / "p1", magnitude, phase, AFFINE, **tags)
    out = tmp_path / "study"
    people, _ = imported(tmp_path / "dicom", out)
    (row,) = people.to_dict("records")
    for there in ((11, 7, 4), (40, 3, 0), (2, 38, 9)):
        if shown is None:
            (real, _), (imaginary, _) = (_values_at(out / row[part], there) for part in ("real", "imaginary"))
            assert np.hypot(real, imaginary) == pytest.approx(unit * magnitude[there], abs=1)
            assert np.angle((real + 1j * imaginary) * np.exp(-1j * phase[there])) == pytest.approx(0, abs=0.01)
            continue
        assert _values_at(out / row[shown], there)[0] == pytest.approx(unit * magnitude[there])
        value, values = _values_at(out / row["phase"], there)
        assert to_radians(value, phase_scale(values)) == pytest.approx(phase[there], abs=2e-3)
    left = [path for path in out.rglob("*") if path.is_file()]
    assert not [path for path in left if any(word in path.read_bytes() for word in IDENTIFYING)]
    assert not [path for path in left if path.suffix == ".gz" and b"Planted" in gzip.decompress(path.read_bytes())]


def test_folders_of_one_examination_are_one_person(tmp_path):
    place = tmp_path / "dicom"
    siemens(place / "all", *scan(), AFFINE)
    for number in (MAGNITUDE, PHASE):
        (place / f"series {number}").mkdir()
        for path in (place / "all").glob(f"{number}_*"):
            path.rename(place / f"series {number}" / path.name)
    (place / "all").rmdir()
    people, _ = imported(place, tmp_path / "study")
    assert people["participant_id"].tolist() == ["sub-001"]


def test_several_scans_are_listed_and_never_guessed_among(tmp_path):
    place = tmp_path / "dicom"
    for number in (0, 10):
        siemens(place / "p1", *scan(number), AFFINE, first=number, StudyInstanceUID=STUDY)
    with pytest.raises(
        DataError, match=r"2 scans could be meant: magnitude=2, phase=3 .*magnitude=12, phase=13"
    ) as all_:
        imported(place, tmp_path / "study")
    assert "--series" in str(all_.value)
    chosen = {"series": {"magnitude": "12", "phase": "13"}}
    people, _ = imported(place, tmp_path / "study", **chosen)
    assert len(people) == 1
    assert read_record(tmp_path / "study/converted/sub-001")["parameters"]["series"] == chosen["series"]
    with pytest.raises(UsageError, match="--series t1=4: expected one of magnitude, phase"):
        imported(place, tmp_path / "study", series={"t1": "4"})


def test_of_several_echoes_the_one_nearest_20_ms_is_taken(tmp_path):
    place = tmp_path / "dicom"
    for echo, time in enumerate((8.0, 22.0, 36.0), 1):
        siemens(place / "p1", *scan(echo), AFFINE, EchoTime=time, StudyInstanceUID=STUDY, series="same")
    people, notes = imported(place, tmp_path / "study")
    assert people["echo_time_ms"].astype(float).tolist() == [22.0]
    assert "(echo 22 ms) taken" in " ".join(notes)


def test_people_in_one_folder_no_phase_and_no_dicom_are_said(tmp_path):
    place = tmp_path / "two"
    for name in ("007", "008"):
        siemens(place / "p1" / name, *scan(), AFFINE, PatientID=name)
    with pytest.raises(DataError, match="holds files of 2 people"):
        imported(place, tmp_path / "study")
    bare = tmp_path / "bare"
    siemens(bare / "p1", *scan(), AFFINE)
    for path in (bare / "p1").glob(f"{PHASE}_*"):
        path.unlink()
    with pytest.raises(DataError, match=f"series {MAGNITUDE}: magnitude. A scan needs its phase"):
        imported(bare, tmp_path / "study")
    (tmp_path / "none").mkdir()
    with pytest.raises(MissingError, match="holds no DICOM"):
        imported(tmp_path / "none", tmp_path / "study")
