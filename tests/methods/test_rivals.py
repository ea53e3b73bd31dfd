"""Earlier work as methods: what each finds, and what its second stage is."""

from functools import partial
from importlib import import_module
from types import SimpleNamespace

import numpy as np
import pytest

from cmb_toolkit.io.publish import read_record
from cmb_toolkit.io.tables import read_tsv
from cmb_toolkit.lessons import loop, skill
from cmb_toolkit.methods.dou import Dou
from cmb_toolkit.methods.sliding import Hong, Wang
from cmb_toolkit.stage1.recipe import search_of
from cmb_toolkit.stage2.recipe import Cropping
from cmb_toolkit.steps.find import find
from cmb_toolkit.steps.stage2_classify import _by
from cmb_toolkit.steps.stage2_crop import stage2_crop
from cmb_toolkit.steps.stage2_train import stage2_train
from cmb_toolkit.study.cell import read_setup
from cmb_toolkit.windows import planar, screening

MARKS, SPACING = [(16, 14, 2), (30, 24, 4)], (0.8, 0.8, 2.0)


def assert_marks_among(candidates):
    """Every microbleed of each of the three subjects is found, within 2 mm."""
    for _, part in candidates.groupby("participant_id"):
        places = part[["i", "j", "k"]].to_numpy(float)
        for mark in MARKS:
            assert (np.linalg.norm((places - mark) * SPACING, axis=1) < 2).any()
    assert candidates["participant_id"].nunique() == 3


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
    assert_marks_among(read_tsv(chen.candidates))


@pytest.mark.parametrize("method", ["liu", "chen"])
def test_its_own_network_is_trained_where_nothing_else_is_asked_for(study, method, monkeypatch):
    cell = found(study, method, threshold=1e-4)
    cropped = read_record(stage2_crop(cell.folder))["parameters"]
    assert cropped["size"] == 16
    assert "shrink_from" not in cropped, "as published"
    assert read_record(stage2_crop(cell.folder, Cropping(network="small")))["parameters"]["shrink_from"] == 5
    stage2_crop(cell.folder)
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


def test_they_look_at_as_many_false_positives_as_are_printed():
    printed = {"dou": 282.8, "kuijf": 17.17, "liu": 276.8, "chen": 231.88, "wang": 11.8, "hong": 3.4}
    for method, count in printed.items():
        asked = search_of(method)(fold="1")
        assert (asked.most_false, asked.sensitivity) == (count, None)


def test_dou_learns_and_finds(study, monkeypatch):
    monkeypatch.setattr(loop, "_CHECKPOINT", 10)
    monkeypatch.setattr(screening, "_TILE", 12)
    monkeypatch.setattr(skill, "told_from_chance", lambda found, chances: True)  # scans this small are full of chances
    recipe = Dou(steps=20, batch=16)
    asked = search_of("dou")(fold="1", size=64)
    whole = find(study.root, "dou", asked, recipe)
    cell = study.cell("HR", "dou", "1")
    assert cell.network_loss.is_file()
    record = read_record(cell.network)
    assert (record["microbleeds"], record["found"]) == (2, 2)
    assert record["history"]["step"] == [10, 20]
    assert_marks_among(read_tsv(whole))
    assert read_record(stage2_crop(cell.folder))["parameters"]["size"] == 20
    assert _by(cell, "auto") == "stage2"


def test_a_network_on_windows_learns_and_finds(study, monkeypatch):
    monkeypatch.setattr(skill, "told_from_chance", lambda found, chances: True)
    tiny = {"resnet-small": partial(planar._resnet, "resnet-small", 8, 3, ((4, 1), (4, 1)))}
    monkeypatch.setattr(planar, "BUILDERS", tiny)
    path = find(
        study.root, "hong", search_of("hong")(fold="1", size=64, threshold=1e-3), Hong(steps=20, batch=16, mined=(0.5,))
    )
    cell = study.cell("HR", "hong", "1")
    assert_marks_among(read_tsv(path))
    record = read_record(cell.network)
    assert record["microbleeds"] == 2
    assert record["parameters"]["recipe"]["network"] == "small"
    assert [(one.kind, one.side) for one in (Wang, Hong)] == [("densenet", 61), ("resnet", 41)]
