"""What of an experiment is done, by a run or by hand, and asked without Snakemake."""

import os

import pytest

from cmb_toolkit.cli.main import cli
from cmb_toolkit.cli.recipes import taken
from cmb_toolkit.errors import MissingError
from cmb_toolkit.io.publish import NotCurrentError, Record, only_asking, publish, write_text
from cmb_toolkit.paper.cells import list_cells
from cmb_toolkit.paper.options import RECIPES, filled
from cmb_toolkit.paper.settings import NAMES, load_settings
from cmb_toolkit.study.cohort import read_participants
from cmb_toolkit.workflow.done import request, undone
from cmb_toolkit.workflow.experiment import plan, read_experiment
from cmb_toolkit.workflow.jobs import list_jobs

SETTINGS = """
base = "demo"
[resolutions]
HR = "slab"
[experiment]
tables = [9]
rivals = ["frst"]
[split]
folds = {folds}
validation = 0.5
"""


@pytest.fixture
def experiment(classified_study, tmp_path):
    """Reads the experiment of a study; its scans are of no matter."""
    people = read_participants(classified_study).assign(magnitude="study.toml", phase="study.toml")
    people.to_csv(classified_study.participants, sep="\t", index=False)

    def read(folds=2):
        settings = tmp_path / "settings.toml"
        settings.write_text(SETTINGS.format(folds=folds), "utf-8")
        return read_experiment(classified_study.root, settings)

    return read


@pytest.fixture
def no_snakemake(monkeypatch):
    """As where it is not installed: nothing may ask for it."""

    def refuse(*given, **options):
        raise MissingError("Snakemake is not installed")

    for name in ("need_snakemake", "events"):
        monkeypatch.setattr(f"cmb_toolkit.workflow.experiment.{name}", refuse)


def test_plan_and_status_need_no_snakemake(no_snakemake, experiment, run_cli):
    study = experiment().study.root
    settings = study.parent / "settings.toml"
    assert "12 jobs, 12 to do" in run_cli("experiment", "plan", study, "--settings", settings)
    assert "0 of 12 jobs are done. Nothing runs." in run_cli("experiment", "status", study, "--settings", settings)
    assert run_cli("experiment", "run", study, "--settings", settings, code=3) == "Snakemake is not installed"


def test_what_was_made_by_hand_is_done_if_it_is_what_the_settings_would_make(no_snakemake, experiment, run_cli):
    study = experiment().study
    run_cli("split", study.root, "--folds", 2, "--validation", 0.5, "--seed", 1)
    before = study.folds.stat().st_mtime_ns
    now = experiment()
    assert now.by_name["split", "study"] not in plan(now).todo
    now = experiment(folds=3)
    assert plan(now).todo[now.by_name["split", "study"]] == "folds.tsv is not what these settings would make"
    assert study.folds.stat().st_mtime_ns == before


def test_what_a_run_did_is_remembered_until_something_is_newer(experiment, run_cli, monkeypatch):
    study = experiment().study
    run_cli("split", study.root, "--folds", 2, "--validation", 0.5, "--seed", 1)
    now = experiment()
    split = now.by_name["split", "study"]
    mark = study.root / split.mark
    write_text(mark, "")
    asked = []
    monkeypatch.setattr("cmb_toolkit.workflow.done._step", lambda study, job: asked.append(job.step))
    remembered = {split: request(split, now.table)}
    assert undone(study, [split], now.table, remembered) == {}
    assert not asked
    os.utime(study.microbleeds)
    assert undone(study, [split], now.table, remembered) == {}
    assert asked == ["split"]


def test_what_follows_is_to_do_again_too(experiment):
    now = experiment()
    todo = undone(now.study, now.jobs, now.table, {})
    cell = now.cells[0].name
    assert todo[now.by_name["frst", cell]] == "follows preprocess of the study"
    assert todo.keys() == set(now.jobs)


def test_who_is_only_asked_writes_nothing(tmp_path):
    target, record = tmp_path / "table.tsv", Record("a", {"n": 1}, engine="one")
    with publish(target, record) as out:
        out.write_text("x")
    with only_asking():
        assert Record("a", {"n": 1}, engine="another").is_current(target)
        for would_write in (
            lambda: Record("a", {"n": 2}).is_current(target),
            lambda: publish(target, record).__enter__(),
            lambda: write_text(target, "y"),
        ):
            with pytest.raises(NotCurrentError, match=r"table\.tsv is not what these settings would make"):
                would_write()
    assert target.read_text() == "x"
    assert not Record("a", {"n": 1}, engine="another").is_current(target)


@pytest.mark.parametrize("name", NAMES)
def test_options_mean_the_same_as_words_of_a_command_line(name, classified_study):
    settings = load_settings(name)
    people = read_participants(classified_study).assign(resolution=settings.resolutions["HR"])
    cells, _ = list_cells(settings, people, ["1"])
    for job in list_jobs(settings, cells, [], own_folds=False):
        command = cli.get_command(None, job.step)
        given = command.make_context(job.step, [".", *job.options]).params
        for recipe in RECIPES[job.step]:
            assert filled(recipe, job.asked) == taken(recipe, dict(given)), (job.step, job.options)


def test_the_study_is_left_alone(no_snakemake, experiment):
    study = experiment().study
    before = {path: path.stat().st_mtime_ns for path in study.root.rglob("*")}
    plan(experiment())
    assert {path: path.stat().st_mtime_ns for path in study.root.rglob("*")} == before
