"""From clean scans to a model: every step, on scans so small and for so short that nothing is learned, and then on
findings as a detector that has learned would have made them."""

import json
import shutil
from importlib import import_module

import numpy as np
import pandas as pd
import pytest
from as_learned import as_learned
from click.testing import CliRunner

from cmb_toolkit.bundle.files import opened, verify
from cmb_toolkit.cli.main import cli
from cmb_toolkit.detect.networks import load
from cmb_toolkit.detect.recipe import Detecting
from cmb_toolkit.detect.scan import look_at
from cmb_toolkit.detect.scans import scans_at
from cmb_toolkit.detectors import DETECTORS, Detector
from cmb_toolkit.errors import DataError, MissingError, Problems, UsageError
from cmb_toolkit.evaluation.recipe import Folding
from cmb_toolkit.imaging.recipe import Preprocessing
from cmb_toolkit.io.publish import read_record
from cmb_toolkit.simulation.recipe import Simulating
from cmb_toolkit.sources.bids import BidsChoice
from cmb_toolkit.steps.model import try_it
from cmb_toolkit.steps.preprocess import preprocess
from cmb_toolkit.steps.simulate import simulate
from cmb_toolkit.steps.split import split
from cmb_toolkit.study.cohort import ALL_FOLD, read_fold, read_participants, roles_in
from cmb_toolkit.study.layout import Study
from cmb_toolkit.workflow.recipe import Naming, Training
from cmb_toolkit.workflow.train import plan, train

SHORT = Training(preset="small", quick=True, folds=2, max_batches=3, epochs=1)


@pytest.fixture(scope="module")
def clean(tmp_path_factory):
    root = tmp_path_factory.mktemp("train") / "study"
    quiet = {"on_progress": lambda *_: None}
    simulate(
        root, Simulating(resolution="tiny", subjects=4, healthy=0, microbleeds=3, difficulty="easy", seed=2), **quiet
    )
    preprocess(root, Preprocessing(brain_mask="none"), **quiet)
    return root


@pytest.fixture
def folded(clean, tmp_path):
    """The same in two folds, a test's own, in which nothing was trained."""
    root = shutil.copytree(clean, tmp_path / "study", ignore=shutil.ignore_patterns("cells", "scratch", "slices"))
    split(root, Folding(folds=2), on_progress=lambda *_: None)
    return root


@pytest.mark.slow
def test_what_learned_nothing_is_no_model_and_what_did_is_one(clean, tmp_path, without_pictures):
    out = tmp_path / "ours.cmbtk"
    with pytest.raises(DataError, match="no model to keep"):
        train(clean, out, SHORT)
    assert not out.exists()
    study = Study(clean)
    (cell,) = study.cells()
    before = {path: path.stat().st_mtime_ns for path in (cell.weights, cell.cnn, cell.patches)}
    as_learned(study, cell)
    content = train(clean, out, SHORT, Naming(licence="CC0"))
    assert {path: path.stat().st_mtime_ns for path in before} == before, "nothing was trained twice"
    fold = read_fold(study, "1")
    learners = [*fold.train, *fold.validation]
    marks = pd.read_csv(study.microbleeds, sep="\t")["participant_id"]
    assert content.learned.kind == "simulated"
    assert content.learned.scans == len(learners)
    assert content.learned.microbleeds == marks.isin(learners).sum()
    assert content.learned.held_out_microbleeds == marks.isin(fold.test).sum()
    assert content.points["balanced"].sensitivity[0] == 1
    assert content.points["balanced"].false_positives[0] == 0
    assert content.look.preprocessing["brain_mask"] == "none"
    assert content.look.shrink_from == 5, "as its patches were cut"
    assert content.licence == "CC0"
    records = [read_record(study.subject(subject)) for subject in learners]
    phases = {each["sha256"] for record in records for each in record["sources"] if each["role"] == "phase"}
    assert set(content.learned.digests) == phases
    assert not any(subject in json.dumps(content.as_json()) for subject in learners)
    with opened(out) as bundle:
        assert verify(bundle, out) == 7
    tried = try_it(out)
    assert tried.worst < 1e-6
    run = CliRunner().invoke(cli, ["model", "show", str(out)])
    assert "Learned from **simulated** scans" in run.output
    with pytest.raises(UsageError, match="its detector was trained with max_batches 3"):
        plan(clean, Training(preset="small", quick=True))
    packed = CliRunner().invoke(cli, ["model", "export", str(out), "-o", str(tmp_path / "ours.zip")])
    assert packed.exit_code == 0, packed.output
    assert "7 files" in CliRunner().invoke(cli, ["model", "verify", str(tmp_path / "ours.zip")]).output


@pytest.mark.slow
def test_a_method_that_looks_at_whole_scans_becomes_a_model_that_finds_the_same(
    registered, folded, tmp_path, without_pictures
):
    line = Detector(("round",), "What is round and dark.", "toy_learner:Round", learns=True, hours=2)
    run, out = registered(DETECTORS, "round", line), tmp_path / "ours.cmbtk"
    asked = ("train", folded, "-o", out, "--method", "round", "--quick", "--epochs", 1)
    assert "1 fold with the method round; about 2.6 h" in run(*asked, "--plan")
    again = import_module("cmb_toolkit.workflow.train").train
    recipe = import_module("cmb_toolkit.workflow.recipe").Training(method="round", quick=True, epochs=1)
    with pytest.raises(DataError, match="no model to keep"):
        again(folded, out, recipe)
    study = Study(folded)
    (cell,) = study.cells()
    as_learned(study, cell)
    said = run(*asked)
    assert "method `round`" in said
    assert "with `round` in the place of their detector" in said
    assert try_it(out).worst < 1e-6
    (subject,) = read_fold(study, "1").test[:1]
    with opened(out) as bundle:
        assert bundle.content.look.scans.settings == {"strictness": 2.0}
        every = scans_at(folded, BidsChoice(), Problems(), [], out=tmp_path)
        (scan,) = [each for each in every if each.name == subject]
        found = look_at(scan, bundle.content, load(bundle), Detecting()).candidates
    theirs = pd.read_csv(cell.candidates, sep="\t").query("participant_id == @subject")
    assert len(found) == len(theirs) > 3
    places = [table.sort_values(["k", "i", "j"])[["x_mm", "y_mm", "z_mm"]] for table in (found, theirs)]
    np.testing.assert_allclose(*places, atol=0.01)


def test_what_is_of_yolo_alone_is_refused_with_another_method(folded):
    with pytest.raises(UsageError, match="--preset is of yolo, and --method frst"):
        plan(folded, Training(method="frst", preset="small"))


def test_a_plan_says_what_will_be_done(folded, tmp_path):
    whole, quick = plan(folded, Training(preset="small")), plan(folded, SHORT)
    assert (whole.folds, whole.last, whole.patients) == (("1", "2"), True, 4)
    assert (quick.folds, quick.last) == (("1",), False)
    assert whole.seconds > 100 * quick.seconds
    run = CliRunner().invoke(
        cli, ["train", str(folded), "-o", str(tmp_path / "m.cmbtk"), "--plan", "--preset", "small"]
    )
    assert "2 folds with the network small, then one on everybody" in run.output
    assert not (tmp_path / "m.cmbtk").exists()
    assert not (folded / "cells").exists()


def test_all_are_learned_from_in_the_last_training(folded):
    study = Study(folded)
    people = read_participants(study)
    fold = roles_in(study, ALL_FOLD, people)
    first = read_fold(study, "1")
    assert set(fold.train) == {*first.train, *first.test}
    assert fold.validation == first.validation
    assert fold.test == ()
    assert {*fold.train, *fold.validation} == set(people["participant_id"])


def test_before_any_work_it_says_what_is_missing(clean, tmp_path):
    raw = tmp_path / "raw"
    simulate(raw, Simulating(resolution="tiny", subjects=2, healthy=0), on_progress=lambda *_: None)
    with pytest.raises(MissingError, match="cmbtk preprocess"):
        train(raw, tmp_path / "m.cmbtk")
    (tmp_path / "mine.cmbtk").mkdir()
    with pytest.raises(UsageError, match=r"mine\.cmbtk"):
        train(clean, tmp_path / "mine.cmbtk", SHORT)
