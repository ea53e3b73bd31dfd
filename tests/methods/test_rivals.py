"""Earlier work as methods: what each finds, and what its second stage is."""

from importlib import import_module
from types import SimpleNamespace

import pytest

from cmb_toolkit.io.publish import read_record
from cmb_toolkit.io.tables import read_tsv
from cmb_toolkit.stage1.recipe import Search, search_of
from cmb_toolkit.steps.find import find
from cmb_toolkit.steps.stage2_classify import _by
from cmb_toolkit.steps.stage2_crop import stage2_crop
from cmb_toolkit.steps.stage2_train import stage2_train
from cmb_toolkit.study.cell import read_setup


def found(study, method, **options):
    find(study.root, method, search_of(method)(fold="1", size=64, **options))
    return study.cell("HR", method, "1")


def test_those_of_one_generator_share_what_it_saw(study):
    liu = found(study, "liu", threshold=1e-4)
    before = study.found("frst", "sub-003").stat().st_mtime_ns
    kuijf = found(study, "kuijf")
    assert study.found("frst", "sub-003").stat().st_mtime_ns == before
    assert not study.found("liu", "sub-003").exists()
    assert [read_setup(cell).method for cell in (liu, kuijf)] == ["liu", "kuijf"]
    assert len(read_tsv(liu.candidates)) >= 6
    record = read_record(kuijf.candidates)
    assert (record["step"], record["threshold"]["most_false"], record["threshold"]["sensitivity"]) == (
        "kuijf", 17.17, None
    )  # fmt: skip
    chen = found(study, "chen", threshold=1e-4)
    table = read_tsv(chen.candidates)
    marks = {(16, 14, 2), (30, 24, 4)}
    places = {name: {*zip(part["i"], part["j"], part["k"], strict=True)} for name, part in table.groupby("role")}
    assert all(marks <= each for each in places.values())


@pytest.mark.parametrize("method", ["liu", "chen"])
def test_its_own_network_is_trained_where_nothing_else_is_asked_for(study, method, monkeypatch):
    cell = found(study, method, threshold=1e-4)
    assert read_record(stage2_crop(cell.folder))["parameters"]["size"] == 16
    planned = SimpleNamespace()
    monkeypatch.setattr(import_module("cmb_toolkit.steps.stage2_train"), "_train", lambda files, plan, *_: set_(plan))
    monkeypatch.setattr(import_module("cmb_toolkit.steps.stage2_train"), "_write", lambda *_: None)

    def set_(plan):
        planned.network = plan.network
        return None, None, {}

    stage2_train(cell.folder)
    assert planned.network == method
    assert _by(cell, "auto") == "stage2"


def test_the_experiment_plans_them_with_their_own_second_stage(study):
    settings = study.root / "own.toml"
    settings.write_text('base = "paper"\n[experiment]\ntables = [9]\nrivals = ["kuijf", "liu", "frst"]\n')
    jobs = import_module("cmb_toolkit.workflow.experiment").read_experiment(study.root, str(settings)).jobs
    options = {(job.cell, job.step): " ".join(job.options) for job in jobs}
    assert ("HR_kuijf_fold-1", "evaluate") in options
    assert ("HR_kuijf_fold-1", "stage2-train") not in options
    assert "--network" not in options["HR_liu_fold-1", "stage2-train"]
    assert "--network paper" in options["HR_frst_fold-1", "stage2-train"]


def test_what_can_be_chosen_of_where_they_look():
    assert search_of("liu") is Search
    assert search_of("kuijf")(fold="1").most_false == 17.17
