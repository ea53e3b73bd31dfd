"""BIDS folders as they are met: which images of each subject and session are taken for a scan."""

import json

import nibabel as nib
import numpy as np
import pytest

from cmb_toolkit.errors import DataError, MissingError, UsageError
from cmb_toolkit.sources.bids import BidsChoice, scans_in


@pytest.fixture
def tree(tmp_path):
    """Makes a BIDS folder of small volumes by their paths; a number after one says how many volumes it holds."""

    def make(*images):
        root = tmp_path / "bids"
        for image in images:
            path = root / image.partition(" ")[0]
            path.parent.mkdir(parents=True, exist_ok=True)
            shape = (4, 5, 3) + ((int(image.split(" ")[1]),) if " " in image else ())
            nib.save(nib.Nifti1Image(np.zeros(shape, np.int16), np.eye(4)), path)
        return root

    return make


def say(root, sidecars):
    for name, content in sidecars.items():
        (root / name).write_text(json.dumps(content), "utf-8")


def found(root, **options):
    """Subject -> its files by what they are, as names below the subject's folder."""
    choice = {key: options.pop(key) for key in ("entity", "plain_swi") if key in options}
    scans = scans_in(root, BidsChoice(**choice), **options)
    return {
        scan.name: {role: str(path.relative_to(root / scan.name.split("_")[0])) for role, path in scan.files.items()}
        for scan in scans
    }


PLACES = {
    "T2starw of ds003990": (
        "ses-02/anat/sub-05_ses-02_part-mag_T2starw",
        "ses-02/anat/sub-05_ses-02_part-phase_T2starw",
    ),
    "magnitude without part": ("anat/sub-05_T2starw", "anat/sub-05_part-phase_T2starw"),
    "QSMxT": ("anat/sub-05_part-mag_MEGRE", "anat/sub-05_part-phase_MEGRE"),
    "BEP004": ("swi/sub-05_part-mag_GRE", "swi/sub-05_part-phase_GRE"),
    "QSM consensus": ("anat/sub-05_acq-Monopolar_part-mag_GRE", "anat/sub-05_acq-Monopolar_part-phase_GRE"),
    "no datatype": ("sub-05_part-mag_T2starw", "sub-05_part-phase_T2starw"),
    "capitals": ("anat/sub-05_part-mag_SWI", "anat/sub-05_part-phase_SWI"),
    "small letters": ("anat/sub-05_run-1_part-mag_swi", "anat/sub-05_run-1_part-phase_swi"),
    "Montreal MPN": ("anat/sub-05_acq-m_rec-ASPIRE_part-mag_MEGRE", "anat/sub-05_acq-m_rec-ASPIRE_part-phase_MEGRE"),
}


@pytest.mark.parametrize("names", PLACES.values(), ids=PLACES)
def test_names_in_the_wild(tree, names):
    magnitude, phase = (f"{name}.nii.gz" for name in names)
    other = "anat/sub-05_T1w.nii.gz"
    root = tree(*(f"sub-05/{name}" for name in (magnitude, phase, other)))
    subject = "sub-05_ses-02" if "ses-" in magnitude else "sub-05"
    assert found(root) == {subject: {"magnitude": magnitude, "phase": phase}}


def test_real_and_imaginary_parts(tree):
    root = tree("sub-1/anat/sub-1_part-real_T2starw.nii", "sub-1/anat/sub-1_part-imag_T2starw.nii")
    assert found(root)["sub-1"].keys() == {"real", "imaginary"}


def test_a_swi_beside_magnitude_and_phase(tree):
    root = tree(*(f"sub-1/swi/sub-1_{name}.nii.gz" for name in ("part-mag_GRE", "part-phase_GRE", "swi", "minIP")))
    assert found(root)["sub-1"] == {
        "magnitude": "swi/sub-1_part-mag_GRE.nii.gz",
        "phase": "swi/sub-1_part-phase_GRE.nii.gz",
        "swi": "swi/sub-1_swi.nii.gz",
    }


@pytest.mark.parametrize(
    ("types", "options", "role"),
    [
        (None, {}, "swi"),
        (None, {"plain_swi": "magnitude"}, "magnitude"),
        (["ORIGINAL", "PRIMARY", "M", "SWI", "NORM"], {"plain_swi": "magnitude"}, "swi"),
        (["ORIGINAL", "PRIMARY", "M", "NORM", "MAGNITUDE"], {}, "magnitude"),
    ],
)
def test_what_a_plain_swi_is(tree, types, options, role):
    root = tree("sub-1/anat/sub-1_SWI.nii.gz", "sub-1/anat/sub-1_part-phase_SWI.nii.gz")
    if types:
        say(root, {"sub-1/anat/sub-1_SWI.json": {"ImageType": types}})
    assert found(root, **options)["sub-1"].keys() == {role, "phase"}


def echoes(count, subject="1", label="{}"):
    return [
        f"sub-{subject}/anat/sub-{subject}_echo-{label.format(n)}_part-{part}_MEGRE.nii.gz"
        for n in range(1, count + 1)
        for part in ("mag", "phase")
    ]


def test_of_several_echoes_the_one_nearest_20_ms_by_inherited_sidecars(tree):
    root = tree(*echoes(4), *echoes(4, "2"))
    say(root, {f"echo-{n}_MEGRE.json": {"EchoTime": 0.006 * n} for n in range(1, 5)})
    say(root, {"sub-2/anat/sub-2_echo-4_MEGRE.json": {"EchoTime": 0.0199}})
    notes = []
    one, two = scans_in(root, notes=notes)
    assert (one.phase.name, one.echo_time_ms) == ("sub-1_echo-3_part-phase_MEGRE.nii.gz", 18)
    assert (two.magnitude.name, two.echo_time_ms) == ("sub-2_echo-4_part-mag_MEGRE.nii.gz", 19.9)
    assert notes == [
        "Note: of 4 echoes the one nearest 20 ms is taken: echo 3 (18 ms), in sub-1.",
        "Note: of 4 echoes the one nearest 20 ms is taken: echo 4 (19.9 ms), in sub-2.",
    ]
    one, two = scans_in(root, BidsChoice(entity={"echo": "01"}))
    assert one.phase.name == "sub-1_echo-1_part-phase_MEGRE.nii.gz"


def test_echoes_in_the_fourth_dimension(tree):
    root = tree("sub-1/anat/sub-1_part-mag_GRE.nii.gz 3", "sub-1/anat/sub-1_part-phase_GRE.nii.gz 3")
    with pytest.raises(DataError, match=r"sub-1: has 3 echoes \(1, 2, 3\).*--entity echo=N"):
        scans_in(root)
    assert scans_in(root, BidsChoice(entity={"echo": "3"}))[0].echo == 3
    with pytest.raises(DataError, match="has no echo 4; its files hold 3 volumes"):
        scans_in(root, BidsChoice(entity={"echo": "4"}))
    say(root, {"GRE.json": {"EchoTime": [0.005, 0.022, 0.03]}})
    (scan,) = scans_in(root)
    assert (scan.echo, scan.echo_time_ms) == (2, 22)


@pytest.mark.parametrize("times", [[4, 12, 20], [0.004, 0.004, 0.004], [0.004, None, 0.02]])
def test_echo_times_that_cannot_be_are_not_compared(tree, times):
    root = tree(*echoes(3))
    say(root, {f"echo-{n}_MEGRE.json": {"EchoTime": time} for n, time in enumerate(times, 1)})
    with pytest.raises(DataError, match="no sidecar says when"):
        scans_in(root)


RUNS = [f"sub-1/anat/sub-1_run-{n}_part-{part}_T2starw.nii.gz" for n in (1, 2) for part in ("mag", "phase")]


def test_several_scans_are_listed_and_never_guessed(tree):
    root = tree(*RUNS, "sub-2/anat/sub-2_part-mag_T2starw.nii.gz", "sub-2/anat/sub-2_part-phase_T2starw.nii.gz")
    with pytest.raises(DataError) as caught:
        scans_in(root)
    assert str(caught.value).splitlines()[0] == (
        "sub-1: 2 scans could be meant: --entity run=1 (sub-1/anat/sub-1_run-1_part-mag_T2starw.nii.gz); "
        "--entity run=2 (sub-1/anat/sub-1_run-2_part-mag_T2starw.nii.gz)."
    )
    assert "--entity KEY=VALUE" in str(caught.value)
    chosen = found(root, entity={"run": "02"})
    assert chosen["sub-1"]["phase"] == "anat/sub-1_run-2_part-phase_T2starw.nii.gz"
    assert chosen["sub-2"]["phase"] == "anat/sub-2_part-phase_T2starw.nii.gz", "has no run, and so no other choice"


def test_many_scans_are_not_all_listed(tree):
    names = [f"sub-1/anat/sub-1_coil-{n}_part-{part}_MEGRE.nii" for n in range(1, 33) for part in ("mag", "phase")]
    with pytest.raises(DataError, match=r"32 scans could be meant: --entity coil=1 .*; and 24 more\."):
        scans_in(tree(*names))


def test_one_with_and_one_without_an_entity(tree):
    root = tree(*RUNS[:2], *(name.replace("_run-1", "") for name in RUNS[:2]))
    with pytest.raises(DataError, match=r"--entity run=n/a .*--entity run=1 "):
        scans_in(root)
    assert "run" not in found(root, entity={"run": "n/a"})["sub-1"]["phase"]
    assert "run" in found(root, entity={"run": "1"})["sub-1"]["phase"]


def test_another_acquisition_is_not_taken_in_place_of_the_one_asked_for(tree):
    names = [
        f"sub-{n}/anat/sub-{n}_acq-{acq}_part-{part}_GRE.nii"
        for n, acq in ((1, "a"), (2, "b"))
        for part in ("mag", "phase")
    ]
    notes = []
    scans = scans_in(tree(*names), BidsChoice(entity={"acq": "a"}), notes=notes)
    assert [scan.name for scan in scans] == ["sub-1"]
    assert "left out" in notes[0]
    assert "sub-2" in notes[0]


def test_asking_for_what_there_is_not(tree):
    root = tree(*RUNS)
    with pytest.raises(UsageError, match="run=3: no image has it; found run=1, run=2"):
        scans_in(root, BidsChoice(entity={"run": "3"}))
    with pytest.raises(UsageError, match=r"aqc-; found .*run"):
        scans_in(root, BidsChoice(entity={"aqc": "x"}))
    with pytest.raises(MissingError, match="no images of sub-7"):
        scans_in(root, participants=["7"])


def test_sessions_and_participants(tree):
    names = [
        f"sub-{n}/ses-{s}/anat/sub-{n}_ses-{s}_part-{part}_T2starw.nii.gz"
        for n, s in ((1, "a"), (1, "20190203"), (2, "a"))
        for part in ("mag", "phase")
    ]
    root = tree(*names)
    notes = []
    assert [scan.name for scan in scans_in(root, notes=notes)] == ["sub-1_ses-20190203", "sub-1_ses-a", "sub-2_ses-a"]
    assert "called by dates (sub-1_ses-20190203)" in notes[0]
    assert [scan.name for scan in scans_in(root, participants=["sub-2"])] == ["sub-2_ses-a"]
    assert [scan.name for scan in scans_in(root, BidsChoice(entity={"ses": "a"}))] == ["sub-1_ses-a", "sub-2_ses-a"]


def test_what_is_no_bids_folder_or_holds_no_phase(tree, tmp_path):
    with pytest.raises(MissingError, match="no folder sub-"):
        scans_in(tmp_path)
    with pytest.raises(MissingError, match="nobody has magnitude and phase"):
        scans_in(tree("sub-1/anat/sub-1_T2starw.nii.gz", "sub-1/anat/sub-1_T1w.nii.gz"))


def test_names_that_contradict_or_repeat_each_other(tree):
    with pytest.raises(DataError, match="is called sub-2, and lies in a folder of sub-1"):
        scans_in(tree("sub-1/anat/sub-2_part-phase_GRE.nii.gz"))


def test_the_same_image_twice(tree):
    with pytest.raises(DataError, match="their names say the same"):
        scans_in(tree(*RUNS[:2], RUNS[0].removesuffix(".gz")))


def test_links_that_lead_nowhere_are_scans_whose_files_are_missing(tree):
    root = tree(*RUNS[:2])
    (root / RUNS[1]).unlink()
    (root / RUNS[1]).symlink_to("../../.git/annex/objects/none")
    assert len(scans_in(root)) == 1


def test_hostile_sidecars_say_nothing(tree):
    root = tree(*echoes(2))
    (root / "MEGRE.json").write_text("[" * 100_000, "utf-8")
    (root / "echo-1_MEGRE.json").write_text('{"EchoTime": NaN}', "utf-8")
    (root / "echo-2_MEGRE.json").write_text('{"EchoTime": 1e999}', "utf-8")
    with pytest.raises(DataError, match="no sidecar says when"):
        scans_in(root)
