"""A new network of stage 2 is one file (tests/toys/toy_classifier.py) and one line; its patches have its own size."""

from importlib import import_module

import pytest

from cmb_toolkit.classifiers import CLASSIFIERS, Classifier
from cmb_toolkit.errors import DataError
from cmb_toolkit.stage2.recipe import ClassifierTraining
from cmb_toolkit.study.patches import read_patches


@pytest.fixture
def run(registered):
    return registered(CLASSIFIERS, "tiny", Classifier("toy_classifier:tiny", "tiny", size=8, work=0.001))


def test_its_line_is_enough_for_all_of_stage_2_and_the_results(run, study):
    run("frst", study.root, "--fold", 1, "--size", 64, "--jobs", 1, "--threshold", 1e-4)
    cell = study.cell("HR", "frst", "1")
    run("stage2-crop", cell.folder)
    train = import_module("cmb_toolkit.steps.stage2_train").stage2_train
    with pytest.raises(DataError, match=r"patches of 16 voxels, but the network tiny takes 8.*--network tiny"):
        train(cell.folder, ClassifierTraining(network="tiny", epochs=1))
    run("stage2-crop", cell.folder, "--network", "tiny")
    table, patches = read_patches(cell.patches)
    assert patches.shape == (len(table), 8, 16, 8)
    run("stage2-train", cell.folder, "--network", "tiny", "--epochs", 1, "--copies", 1, 1, "--batch", 10)
    run("stage2-classify", cell.folder, "--threshold", 0.01)
    assert "both stages" in run("evaluate", cell.folder, "--false-pictures", 0)
    run("experiment", "report", study.root)
    assert (study.root / "report" / "index.html").is_file()


def test_the_experiment_plans_it(run, study):
    settings = study.root / "own.toml"
    own = '[stage2-crop]\nnetwork = "tiny"\n[stage2-train]\nnetwork = "tiny"\n'
    settings.write_text(f'base = "paper"\n[experiment]\ntables = [9]\n{own}')
    jobs = import_module("cmb_toolkit.workflow.experiment").read_experiment(study.root, str(settings)).jobs
    crop, trained = (
        next(job for job in jobs if (job.step, job.cell) == (step, "HR_frst_fold-1"))
        for step in ("stage2-crop", "stage2-train")
    )
    assert "--network tiny" in " ".join(crop.options)
    assert "--network tiny" in " ".join(trained.options)
