import json
from dataclasses import replace

import nibabel as nib
import numpy as np
import pytest
from click.testing import CliRunner

from cmb_toolkit.cli.main import cli
from cmb_toolkit.errors import StorageError, UsageError
from cmb_toolkit.io.publish import Record, publish, read_record
from cmb_toolkit.simulation.acquisition import PROTOCOLS
from cmb_toolkit.simulation.recipe import Part, Simulating
from cmb_toolkit.simulation.scan import simulate_scan
from cmb_toolkit.steps import simulate as module
from cmb_toolkit.steps.simulate import simulate as step
from cmb_toolkit.study.cohort import read_microbleeds, read_participants
from cmb_toolkit.study.layout import Study


def quiet(done, total, what):
    pass


OPTIONS = {"resolution": "tiny", "subjects": 3, "healthy": 1, "seed": 5, "microbleeds": 3.0}


def simulate(out, jobs=None, on_progress=quiet, **options):
    return step(out, Simulating(**options), jobs=jobs, on_progress=on_progress)


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    return Study(simulate(tmp_path_factory.mktemp("made") / "study", jobs=1, **OPTIONS))


def fingerprint(study):
    """Every file and its bytes, without the provenance's running time."""
    return {
        str(p.relative_to(study.root)): p.read_bytes() if ".nii" in p.name or p.suffix == ".tsv" else None
        for p in sorted(study.root.rglob("*"))
        if p.is_file()
    }


def test_the_study_is_complete_and_consistent(study):
    participants, marks = read_participants(study), read_microbleeds(study)
    assert participants["group"].tolist() == ["patient", "patient", "control"]
    assert participants["scanner"].tolist() == ["scanner-a", "scanner-b", "scanner-a"]
    assert participants["phase_sign"].tolist() == [1, -1, 1]
    assert set(participants["resolution"]) == {"tiny"}
    counts = marks["participant_id"].value_counts()
    assert (counts.reindex(participants.index, fill_value=0) == participants["microbleeds"]).all()
    assert (participants["microbleeds"] > 0).tolist() == [True, True, False]
    for column in ("magnitude", "phase"):
        assert all((study.root / path).is_file() for path in participants[column])
    description = json.loads(study.description.read_text())
    assert description["DatasetType"] == "raw"
    columns = json.loads(study.microbleeds.with_suffix(".json").read_text())["columns"]
    assert set(columns) == set(marks.columns)


def test_marks_are_dark_voxels_inside_the_volume_in_every_axis_order(study):
    participants, marks = read_participants(study), read_microbleeds(study)
    orders = set()
    for subject, rows in marks.groupby("participant_id"):
        image = nib.load(study.root / participants.loc[subject, "magnitude"])
        orders.add("".join(nib.aff2axcodes(image.affine)))
        canonical = nib.as_closest_canonical(image)
        data = canonical.get_fdata()
        for mark in rows.itertuples():
            i, j, k = mark.i, mark.j, mark.k
            assert all(0 <= v < n for v, n in zip((i, j, k), data.shape, strict=True))
            world = nib.affines.apply_affine(canonical.affine, (i, j, k))
            assert world == pytest.approx((mark.x_mm, mark.y_mm, mark.z_mm), abs=0.01)
            near = data[i - 1 : i + 2, j - 1 : j + 2, k].min()
            assert near < 0.85 * np.median(data[i - 5 : i + 6, j - 5 : j + 6, k])
    assert orders == {"RAS", "LPS"}


def test_files_hold_the_simulated_phase_in_the_scanners_sign_and_units(study):
    participants = read_participants(study)
    for number, (subject, row) in enumerate(participants.head(2).iterrows()):
        scan = simulate_scan(
            np.random.SeedSequence(5, spawn_key=(number,)),
            "tiny",
            microbleeds=int(row["microbleeds"]),
            healthy=row["group"] == "control",
            scanner=row["scanner"],
        )
        image = nib.load(study.root / row["phase"])
        assert image.get_data_dtype() == np.int16
        values = nib.as_closest_canonical(image).get_fdata()
        cycle = 8192 if row["scanner"] == "scanner-a" else 2000 * np.pi
        phase = row["phase_sign"] * values / cycle * 2 * np.pi
        assert np.abs(np.angle(np.exp(1j * (phase - scan.phase)))).max() < 0.003
        extent = (-4096, 4094) if row["scanner"] == "scanner-a" else (-3142, 3142)
        assert extent[0] <= values.min() < 0.99 * extent[0]
        assert extent[1] >= values.max() > 0.99 * extent[1]
        truth = json.loads((study.scans / subject / f"{subject}_truth.json").read_text())
        assert [m["i"] for m in truth["microbleeds"]] == [p.voxel[0] for p in scan.microbleeds]
        kinds = {mimic["kind"] for mimic in truth["mimics"]}
        assert {"calcification", "vein"} <= kinds
        corner = nib.as_closest_canonical(image).affine
        for mimic in truth["mimics"]:
            place = nib.affines.apply_affine(corner, [mimic[axis] for axis in "ijk"])
            assert place == pytest.approx([mimic[f"{axis}_mm"] for axis in "xyz"], abs=1e-3)


def test_headers_and_sidecars_say_what_was_measured(study):
    folder = study.scans / "sub-001"
    image = nib.load(folder / "sub-001_part-phase_T2starw.nii.gz")
    assert image.header.get_zooms() == pytest.approx((1.8, 1.8, 3.0))
    assert image.header.get_xyzt_units() == ("mm", "sec")
    assert image.header["sform_code"] == image.header["qform_code"] == 1
    assert (image.dataobj.slope, image.dataobj.inter) == (2, -4096)
    sidecar = json.loads((folder / "sub-001_part-phase_T2starw.json").read_text())
    assert sidecar["EchoTime"] == 0.02
    mask = nib.load(folder / "sub-001_desc-intracranial_mask.nii.gz")
    assert set(np.unique(mask.get_fdata())) == {0, 1}


def test_the_number_of_jobs_changes_nothing(study, tmp_path):
    parallel = Study(simulate(tmp_path / "parallel", jobs=2, **OPTIONS))
    assert fingerprint(parallel) == fingerprint(study)


def test_finished_subjects_are_kept_and_a_stopped_run_goes_on(tmp_path):
    def stop_after_first(done, total, what):
        if done == 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        simulate(tmp_path / "study", jobs=1, **OPTIONS, on_progress=stop_after_first)
    study = Study(tmp_path / "study")
    assert not study.participants.exists()
    first = study.scans / "sub-001"
    written = first.stat().st_mtime_ns
    assert [p.name for p in study.scans.iterdir() if p.is_dir()] == ["sub-001"]
    simulate(study.root, jobs=1, **OPTIONS)
    assert first.stat().st_mtime_ns == written
    assert len(read_participants(study)) == 3
    tables = study.participants.stat().st_mtime_ns
    simulate(study.root, jobs=1, **OPTIONS)
    assert study.participants.stat().st_mtime_ns == tables
    (first / "sub-001_part-mag_T2starw.nii.gz").unlink()
    simulate(study.root, jobs=1, **OPTIONS)
    assert (first / "sub-001_part-mag_T2starw.nii.gz").is_file()

    simulate(study.root, jobs=1, **{**OPTIONS, "subjects": 1, "healthy": 0})
    assert sorted(p.name for p in study.scans.iterdir()) == ["sub-001", "sub-001.json"]
    assert list(read_participants(study).index) == ["sub-001"]
    assert set(read_microbleeds(study)["participant_id"]) == {"sub-001"}
    kept = first.stat().st_mtime_ns
    simulate(study.root, jobs=1, **{**OPTIONS, "subjects": 1, "healthy": 0, "seed": 6})
    assert first.stat().st_mtime_ns != kept
    assert read_record(first)["parameters"]["seed"] == 6


def test_counts_follow_the_mean_and_no_patient_has_none():
    from cmb_toolkit.steps.simulate import _plan

    plans = _plan("tiny", Simulating(subjects=2000, healthy=100, seed=1))
    counts = [p.microbleeds for p in plans if p.group == "patient"]
    assert min(counts) == 1
    assert np.mean(counts) == pytest.approx(4, abs=0.15)
    assert all(p.microbleeds == 0 for p in plans[-100:])
    assert [p.microbleeds for p in _plan("tiny", Simulating(subjects=5, seed=1))] == counts[:5]


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"subjects": 0}, "--subjects 0: expected a whole number from 1"),
        ({"healthy": 3}, "must be a patient"),
        ({"healthy": -1}, "--healthy -1"),
        ({"scanners": 3}, "from 1 to 2"),
        ({"microbleeds": 0.5}, "--microbleeds .*expected a number from 1 to 30"),
        ({"microbleeds": 500.0}, "--microbleeds .*expected a number from 1 to 30"),
        ({"resolution": "7T"}, "HR, LR, slab, slab-lr, tiny"),
        ({"difficulty": "brutal"}, "easy, paper, hard"),
        ({"seed": -1}, "--seed -1"),
    ],
)
def test_wrong_arguments_are_named_before_anything_is_written(changed, message, tmp_path):
    with pytest.raises(UsageError, match=message):
        simulate(tmp_path / "study", **{**OPTIONS, **changed})
    assert not (tmp_path / "study").exists()


def test_other_folders_and_studies_are_left_alone(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(UsageError, match="not a study folder"):
        simulate(tmp_path, **OPTIONS)
    real = Study.create(tmp_path / "real", "real")
    with publish(real.participants, Record("import", {})) as path:
        path.write_text("participant_id\nsub-001\n")
    with pytest.raises(UsageError, match="not simulated"):
        simulate(real.root, **OPTIONS)
    assert real.participants.exists()


def test_a_full_disk_ends_in_one_message(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("cmb_toolkit.steps.simulate.nib.save", full)
    with pytest.raises(StorageError, match=r"sub-001.*no space left"):
        simulate(tmp_path / "study", jobs=1, **OPTIONS)
    assert not list((tmp_path / "study" / "scans").iterdir())


def test_the_command_makes_a_study_and_says_so(tmp_path):
    arguments = [
        "simulate",
        str(tmp_path / "s"),
        "--resolution",
        "tiny",
        "--subjects",
        "1",
        "--seed",
        "2",
        "--jobs",
        "1",
    ]
    result = CliRunner().invoke(cli, [*arguments, "--microbleeds", "2"])
    assert result.exit_code == 0, result.output
    assert "1 tiny subjects (0 healthy) on 1 scanner" in result.output
    assert f"cmbtk preprocess {tmp_path / 's'}" in result.output


def test_the_help_gives_units_defaults_and_an_example():
    text = " ".join(CliRunner().invoke(cli, ["simulate", "--help"]).output.split())
    assert "0.5x0.5x2 mm" in text
    assert "[default: (slab; of a cohort all that it has)]" in text
    assert "Example: cmbtk simulate demo --resolution slab" in text


def test_the_command_refuses_an_empty_cohort(tmp_path):
    result = CliRunner().invoke(cli, ["simulate", str(tmp_path / "s"), "--subjects", "0"])
    assert result.exit_code == 2
    assert "0 is not in the range x>=1" in result.output


def test_the_papers_cohort_has_its_numbers_exactly():
    plans = module._plan_cohort("paper", None, seed=3)
    assert len({plan.id for plan in plans}) == len({plan.number for plan in plans}) == len(plans) == 72 + 14 + 107 + 8
    for resolution, patients, microbleeds, scanners in (("HR", 72, 188, (47, 25)), ("LR", 107, 572, (74, 33))):
        mine = [plan for plan in plans if plan.resolution == resolution]
        ill = [plan for plan in mine if plan.group == "patient"]
        assert (len(ill), sum(plan.microbleeds for plan in mine)) == (patients, microbleeds)
        assert min(plan.microbleeds for plan in ill) == 1
        assert max(plan.microbleeds for plan in ill) > 8
        assert all(plan.microbleeds == 0 for plan in mine if plan.group == "control")
        on = [plan.scanner for plan in ill]
        assert (on.count("scanner-a"), on.count("scanner-b")) == scanners
        assert on != sorted(on), "in no order"
        assert module._plan_cohort("paper", resolution, seed=3) == mine, "alone the same as together"
    assert module._plan_cohort("paper", "HR", seed=4) != module._plan_cohort("paper", "HR", seed=3)


def test_a_cohort_of_two_resolutions(tmp_path, monkeypatch):
    parts = {"tiny": Part(2, 5, 1, (1, 1)), "slab": Part(1, 2, 0, (1, 0))}
    monkeypatch.setitem(module.COHORTS, "paper", parts)
    monkeypatch.setitem(PROTOCOLS, "slab", replace(PROTOCOLS["tiny"], name="slab"))  # a slab takes seconds
    out = tmp_path / "study"
    call = ["simulate", str(out), "--cohort", "paper", "--difficulty", "easy", "--seed", "2", "--jobs", "1"]
    result = CliRunner().invoke(cli, call)
    assert result.exit_code == 0, result.output
    assert "4 tiny and slab subjects (1 healthy) on 2 scanner(s), 7 microbleeds" in result.output
    study = Study(out)
    people, marks = read_participants(study), read_microbleeds(study)
    assert people["resolution"].tolist() == ["tiny"] * 3 + ["slab"]
    counts = marks["participant_id"].map(people["resolution"]).value_counts()
    assert (counts["tiny"], counts["slab"]) == (5, 2)
    made = {path: path.stat().st_mtime_ns for path in out.rglob("*") if path.is_file()}
    CliRunner().invoke(cli, call)
    assert made == {path: path.stat().st_mtime_ns for path in out.rglob("*") if path.is_file()}


def test_calls_that_do_not_fit_a_cohort(tmp_path):
    with pytest.raises(UsageError, match="no slab subjects; it has HR and LR"):
        simulate(tmp_path / "s", cohort="paper", resolution="slab")
    with pytest.raises(UsageError, match="--cohort other: expected one of paper, demo"):
        simulate(tmp_path / "s", cohort="other")
    result = CliRunner().invoke(cli, ["simulate", str(tmp_path / "s"), "--cohort", "paper", "--subjects", "3"])
    assert isinstance(result.exception, UsageError)
    assert "leave out --subjects" in str(result.exception)
    assert not (tmp_path / "s").exists()
