"""The experiment on a tiny study, for real: run, run again, changed, failing, refused, interrupted, killed."""

import json
import os
import random
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pandas as pd
import pytest

from cmb_toolkit.errors import DataError
from cmb_toolkit.io.lock import locked
from cmb_toolkit.io.publish import sidecar
from cmb_toolkit.io.tables import write_tsv
from cmb_toolkit.study.layout import Study
from cmb_toolkit.workflow.experiment import _Live, last_words, plan, read_experiment
from cmb_toolkit.workflow.snakemake import Place, arguments

SETTINGS = """
base = "demo"
[resolutions]
HR = "tiny"
LR = "tiny-lr"
[experiment]
tables = [3, 8]
[split]
folds = 2
[prepare-yolo]
size = 32
mode = "resize"
no-augment = true
max-batches = 12
[stage1-train]
watch = 1
[stage1-detect]
threshold = 0.98
merge = "auto"
[stage1-detect.LR]
threshold = 0.8
[stage2-train]
epochs = 1
augment = "none"
copies = [1, 1]
[stage2-classify]
threshold = 0.5
[evaluate]
false-pictures = 1
"""
BOTH = "tiny+tiny-lr_swi+cphase-averaged_fold-1"


def copied(tiny_study, folder):
    """A copy, in which two subjects are still to be preprocessed."""
    study = Study(shutil.copytree(tiny_study, folder))
    for name in ("sub-001", "sub-010"):
        shutil.rmtree(study.subject(name))
        sidecar(study.subject(name)).unlink()
    return study


@pytest.fixture(scope="module")
def place(tmp_path_factory, tiny_study):
    """A study of tiny subjects, four of one scanner called another resolution; and settings. A folder may be called
    anything: a shell that took its name for more than that would leave a file."""
    folder = tmp_path_factory.mktemp("experiment")
    study = copied(tiny_study, folder / 'it\'s a "study"; $(touch hacked) `touch hacked` {x}')
    people = pd.read_csv(study.participants, sep="\t", keep_default_na=False)
    people["resolution"] = ["tiny-lr" if n in (0, 2, 4, 6) else "tiny" for n in range(len(people))]
    write_tsv(people, study.participants)
    settings = folder / "settings.toml"
    settings.write_text(SETTINGS, "utf-8")
    return study, settings


@pytest.fixture
def small_study(tiny_study, tmp_path):
    """A study of a test's own."""
    return copied(tiny_study, tmp_path / "study").root


def files(folder):
    """Times of all files but those that say how a run went."""
    return {
        path: path.stat().st_mtime_ns
        for path in folder.rglob("*")
        if path.is_file() and not {".snakemake", "experiment"} & set(path.relative_to(folder).parts)
    }


def experiment_job(study, settings, step):
    """The job of the whole study with this step."""
    return read_experiment(study.root, settings).by_name[step, "study"]


def _table_of(study, settings, text):
    """What the Snakefile would read under these settings."""
    settings.write_text(text, "utf-8")
    return read_experiment(study.root, settings).table


@pytest.mark.slow
def test_the_whole_of_it(place, typed, cmbtk):
    study, settings = place
    before = files(study.root)
    said = typed("experiment", "plan", study.root, "--settings", settings)
    assert "Note: all LR patients are of one scanner: left out of Table 8" in said
    assert "4 cells, 21 jobs, 21 to do" in said
    assert files(study.root) == before

    said = cmbtk("experiment", "run", study.root, "--settings", settings, "--jobs", 2)
    assert "[21/21]" in said
    numbers = json.loads(study.cell_named(BOTH).metrics.read_text())
    assert numbers["resolution"] == "tiny+tiny-lr"
    fold = pd.read_csv(study.folds, sep="\t", dtype=str).query("fold == '1'")
    found = pd.read_csv(study.cell_named(BOTH).evaluation / "subjects.tsv", sep="\t")
    assert set(found["participant_id"]) == set(fold["participant_id"][fold["role"].isin(["test", "control"])])
    across = study.cell("tiny", "swi+cphase-averaged", "scanner-b")
    assert across.findings.is_file()
    assert "Written" in study.log(across.name, "stage2-train").read_text()
    for private in (str(study.root.parent), "part-mag"):
        assert private not in study.experiment.read_text()

    # again: from the settings that the study remembers, and nothing is touched
    before = files(study.root)
    assert "Everything is done." in typed("experiment", "run", study.root)
    after = files(study.root)
    assert {path for path in before | after if before.get(path) != after.get(path)} == {study.experiment}
    said = typed("experiment", "status", study.root)
    assert "21 of 21 jobs are done. Nothing runs." in said
    assert [line.split()[:3] for line in said.splitlines() if line.startswith(BOTH)] == [[BOTH, "3", "done"]]

    # a scan that was exchanged is seen
    scan = next(study.scans.glob("*/*part-mag*.nii.gz"))
    then, content = scan.stat(), scan.read_bytes()
    scan.touch()
    assert not plan(read_experiment(study.root, settings)).todo
    scan.write_bytes(content + b"0")
    assert plan(read_experiment(study.root, settings)).todo.keys() >= {experiment_job(study, settings, "preprocess")}
    scan.write_bytes(content)
    os.utime(scan, ns=(then.st_atime_ns, then.st_mtime_ns))

    # one setting of a cell changed, and a step that another has, which makes something else than before: what they
    # touch, and what follows from it
    settings.write_text(SETTINGS.replace("threshold = 0.8", "threshold = 0.7"), "utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("cmb_toolkit.steps.stage2_train.REVISION", 2)
        todo = plan(read_experiment(study.root, settings)).todo
    lr = "tiny-lr_swi+cphase-averaged_fold-1"
    revised = {(step, across.name) for step in ("stage2-train", "stage2-classify", "evaluate")}
    assert {(job.step, job.cell) for job in todo} == {("stage1-detect", lr), ("evaluate", lr), *revised}

    # what was measured tells how long a hundred times as much will take, too
    settings.write_text(SETTINGS, "utf-8")
    train = "stage1-train", BOTH
    now = read_experiment(study.root, settings)
    measured = now.expected([now.by_name[train]], _Live(now).read()["pace"])[now.by_name[train]]
    settings.write_text(SETTINGS.replace("max-batches = 12", "max-batches = 1200"), "utf-8")
    longer = plan(read_experiment(study.root, settings))
    assert measured > 1
    assert longer.seconds[longer.experiment.by_name[train]] == pytest.approx(100 * measured)

    # a file that the settings name, and its content
    network = settings.with_name("own.cfg")
    network.write_text((Path(__file__).parents[2] / "cfg" / "small.cfg").read_text())
    named = SETTINGS.replace("max-batches = 12", f"max-batches = 12\ncfg = '{network.name}'")
    table = _table_of(study, settings, named)
    network.write_text(network.read_text().replace("object_scale=20", "object_scale=10"))
    changed = _table_of(study, settings, named)
    assert changed["options"] == table["options"]
    different = {
        (cell, step)
        for cell, steps in changed["files"].items()
        for step in steps
        if changed["files"][cell][step] != table["files"][cell][step]
    }
    assert different == {(cell, "prepare-yolo") for cell in changed["made by"]["prepare-yolo"]}
    broken = f"threshold = 0.7\nengine = 'binary'\ndarknet = '{network.name}'"
    settings.write_text(SETTINGS.replace("threshold = 0.8", broken), "utf-8")

    # the command refuses that Darknet: two lines for each cell, and the other cells stay as they are
    said = typed("experiment", "run", study.root, "--settings", settings, "--only", "table-3", code=1)
    assert "FAILED  tiny-lr_swi+cphase-averaged_fold-1 stage1-detect, see" in said
    assert "\n        Error: " in said
    assert "own.cfg: not a program that can be run." in said
    assert "1 of 2 jobs failed" in said
    said = typed("experiment", "status", study.root)
    assert "FAILED  tiny-lr_swi+cphase-averaged_fold-1 stage1-detect" in said
    assert study.cell("tiny-lr", "swi+cphase-averaged", "1").candidates.is_file()

    # one fold alone
    experiment = read_experiment(study.root, settings)
    assert {job.cell for job in experiment.chosen((8,), ("scanner-b",))} == {"study", across.name}
    said = typed("experiment", "plan", study.root, "--only", "table-8", "--fold", 1, code=2)
    assert "fold 1 has no cell among those asked for. Choose from scanner-b." in said

    # back, and nobody remembers a run, as if all had been made by hand: it is current, and not done again
    settings.write_text(SETTINGS, "utf-8")
    candidates = study.cell("tiny-lr", "swi+cphase-averaged", "1").candidates.read_bytes()
    for forgotten in (".snakemake", "scratch/experiment"):
        shutil.rmtree(study.root / forgotten)
    assert "Everything is done." in typed("experiment", "run", study.root, "--settings", settings)
    assert study.cell("tiny-lr", "swi+cphase-averaged", "1").candidates.read_bytes() == candidates
    assert "Results" in typed("tables", study.root)


@pytest.mark.parametrize(("method", "learns"), [("frst", False), ("heatmap", True)])
def test_what_learns_stands_in_nobodys_way_and_may_take_a_gpu(small_study, tmp_path, method, learns):
    """A training of half an hour that held what lies in slices/ kept every other cell waiting."""
    settings, config = tmp_path / "settings.toml", tmp_path / "table.json"
    settings.write_text(SETTINGS.replace("tables = [3, 8]", f'tables = [9]\nrivals = ["{method}"]'), "utf-8")
    experiment = read_experiment(small_study, str(settings))
    config.write_text(json.dumps(experiment.table), "utf-8")
    targets = [f"scratch/experiment/done/tiny_{method}_fold-1/{method}"]
    argv, added = arguments(small_study, config, Place("local", 2, 1, 1), targets, only="say")
    argv[argv.index("--logger") : argv.index("--logger") + 2] = ["--printshellcmds"]
    said = subprocess.run(argv, env={**os.environ, **added}, capture_output=True, text=True, check=True)
    (job,) = [part for part in (said.stdout + said.stderr).split("\nrule ") if part.startswith(method)]
    assert ("slices=1" in job) != learns
    assert ("gpu=1" in job) == learns
    assert f"{'on_a_gpu ' if learns else ''}cmbtk {method} . --jobs" in job
    assert ("on_a_gpu" in job) == learns


def test_a_second_run_in_a_study_is_refused(place, typed):
    study, settings = place
    with locked(study.experiment_lock, "it"):
        said = typed("experiment", "run", study.root, "--settings", settings, code=2)
    assert "is busy with another run of its experiment. Wait until it has ended, or stop it." in said


def test_folds_of_ones_own_are_kept(place, tmp_path):
    study, _ = place
    own = Study.create(tmp_path / "own", "own")
    for table in (study.participants, study.microbleeds):
        people = pd.read_csv(table, sep="\t", keep_default_na=False)
        for column in {"magnitude", "phase"} & set(people):
            people[column] = [str(study.root / path) for path in people[column]]
        write_tsv(people, own.root / table.name)
    rows = [(fold, name, "train") for fold in ("first", "scanner-x") for name in people["participant_id"].unique()]
    write_tsv(pd.DataFrame(rows, columns=["fold", "participant_id", "role"]), own.folds)
    mine = tmp_path / "mine.toml"
    mine.write_text(SETTINGS.replace("tables = [3, 8]", 'tables = [4]\nfold = "first"'), "utf-8")
    experiment = read_experiment(own.root, mine)
    assert {cell.fold for cell in experiment.cells} == {"first"}
    assert "split" not in {job.step for job in experiment.jobs}


def test_folds_changed_by_hand_are_kept_if_they_split_nobody(small_study, tmp_path, typed):
    study = Study(small_study)
    typed("split", study.root, "--folds", 2)
    settings = tmp_path / "settings.toml"
    settings.write_text(SETTINGS.replace("tables = [3, 8]", "tables = [4]"), "utf-8")
    assert "split" in {job.step for job in read_experiment(study.root, settings).jobs}
    folds = pd.read_csv(study.folds, sep="\t")
    folds["role"] = folds["role"].replace("validation", "train")
    write_tsv(folds, study.folds)
    assert "split" not in {job.step for job in read_experiment(study.root, settings).jobs}
    people = pd.read_csv(study.participants, sep="\t", keep_default_na=False).assign(person_id="one")
    write_tsv(people, study.participants)
    with pytest.raises(DataError, match="fold 1 has scans of one person in several sets"):
        read_experiment(study.root, settings)


def test_what_is_missing_is_said_before_anything_is_run(place, tmp_path, typed):
    _, settings = place
    study = Study.create(tmp_path / "study", "x")
    people = pd.DataFrame(
        [("sub-01", "tiny", "A", "patient", "scans/none.nii.gz")],
        columns=["participant_id", "resolution", "scanner", "group", "magnitude"],
    )
    write_tsv(people, study.participants)
    said = typed("experiment", "run", study.root, "--settings", settings, code=3)
    assert "none.nii.gz: the magnitude of sub-01 was not found." in said
    assert "not a study folder" in typed("experiment", "status", tmp_path, code=3)
    wrong = typed("experiment", "plan", study.root, "--settings", "demos", code=3)
    assert "not one of paper, released, demo" in wrong


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Slices: 3/4\nError: scan.nii: broken.\nRepair it.\n", "Error: scan.nii: broken. Repair it."),
        ("Error: old\nUsage: cmbtk x [OPTIONS]\nError: No such option\n", "Error: No such option"),
        ("Slices: 3/4 in 60 s\n\n", "Slices: 3/4 in 60 s"),
        ("", "it said nothing; it was ended from outside"),
        ("Error: " + "x" * 1000, "Error: " + "x" * 293 + " ..."),
    ],
)
def test_last_words(tmp_path, text, words):
    log = tmp_path / "log"
    log.write_text(text)
    assert last_words(log).startswith(words)
    assert last_words(tmp_path / "none").startswith("it said nothing")


# --- kills -----------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_killed_at_random_moments_it_still_comes_to_its_end(kills, small_study, tmp_path, cmbtk):
    study = small_study
    settings = tmp_path / "settings.toml"
    settings.write_text(kills.SETTINGS.replace("tables = [4, 5, 9]", "tables = [9]"), "utf-8")
    rng = random.Random(5)
    done = 0
    for victim in ("supervisor", "everything", "snakemake", "command"):
        kill = kills.disturb(study, settings, victim, rng.uniform(2, 9), rng)
        assert kill.records >= done, "a finished job was lost"
        done = kill.records
    _ctrl_c_ends_all_of_it_and_says_how_to_go_on(kills, study, settings)
    assert len(kills.records(study)) >= done
    said = cmbtk("experiment", "run", study, "--settings", settings)
    assert "Next: cmbtk experiment report" in said
    assert len(list(study.glob("cells/*/evaluation/metrics.json"))) == 2
    for path in study.glob("cells/*/*.tsv"):
        pd.read_csv(path, sep="\t")


def _ctrl_c_ends_all_of_it_and_says_how_to_go_on(kills, study, settings):
    process = subprocess.Popen(
        kills.command(study, settings), stderr=subprocess.PIPE, text=True, preexec_fn=kills.listen_to_ctrl_c
    )
    deadline = time.monotonic() + 120
    words = []
    while not any("-m cmb_toolkit" in each for each in words) and time.monotonic() < deadline:
        time.sleep(0.1)
        words = list(kills.running(study).values())
    assert any("-m snakemake" in each for each in words)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=120)
    assert process.returncode == 130
    assert "Run the same command again to go on." in said
    assert kills.running(study) == {}
