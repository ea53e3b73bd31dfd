"""A round of review from a model's findings to the next model, on tiny scans, with a reader who knows the truth."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest
from as_learned import as_learned

from cmb_toolkit.bundle.content import CLASSIFIER
from cmb_toolkit.bundle.files import MODEL, opened
from cmb_toolkit.errors import DataError, MissingError, UsageError
from cmb_toolkit.io.publish import record_of, sha256
from cmb_toolkit.steps.evaluate import evaluate
from cmb_toolkit.study.cohort import read_fold
from cmb_toolkit.study.layout import Study
from cmb_toolkit.workflow.recipe import Reviewing, Training
from cmb_toolkit.workflow.reviewed import train_reviewed
from cmb_toolkit.workflow.train import train

WORLD = ["x_mm", "y_mm", "z_mm"]


def read(path):
    return pd.read_csv(path, sep="\t", na_values="n/a", keep_default_na=False)


def filled_in(review, marks, left_out=()):
    """The table with the verdicts of a reader who knows the truth: what is one, what is a vein, what was missed."""
    table = read(review / "handed-out" / "findings.tsv").astype({"verdict": object, "mimic": object})
    rows = []
    for scan, mine in table.groupby("participant_id"):
        truth = marks.loc[marks["participant_id"] == scan, WORLD].to_numpy(float)
        away = np.linalg.norm(mine[WORLD].to_numpy(float)[:, None] - truth[None], axis=2)
        hit = (away <= 3).any(axis=1)
        if scan in left_out:
            continue
        rows.append(mine.assign(verdict=np.where(hit, "yes", "no"), mimic=np.where(hit, None, "vein")))
        missed = pd.DataFrame(truth[~(away <= 3).any(axis=0)], columns=WORLD)
        rows.append(missed.assign(participant_id=scan, verdict="yes"))
    return pd.concat(rows, ignore_index=True)[["participant_id", "id", *WORLD, "verdict", "mimic"]]


def anyhow(study, training):
    """What a training makes, also where it has learned too little in its one epoch."""
    try:
        return training()
    except DataError:
        as_learned(study, study.cells()[-1])
        return training()


@pytest.fixture(scope="module")
def round_of_review(tiny_study, tmp_path_factory, typed):
    """A study with a model, two scans of others, and a review of what it finds in one of them."""
    folder = tmp_path_factory.mktemp("round")
    shutil.copytree(tiny_study, folder / "study")
    for name in ("participants.tsv", "microbleeds.tsv"):  # six of them are enough
        table = read(tiny_study / name)
        few = table[table["participant_id"] <= "sub-006"]
        few.to_csv(folder / "study" / name, sep="\t", index=False, na_rep="n/a")
    typed("split", folder / "study", "--folds", 3)
    recipe = Training(method="frst", quick=True, epochs=1)
    with pytest.MonkeyPatch.context() as patch:  # nobody looks at its pictures
        patch.setattr("cmb_toolkit.steps.evaluate._draw", lambda *given, **options: None)
        anyhow(Study(folder / "study"), lambda: train(folder / "study", folder / "ours.cmbtk", recipe))
    typed("simulate", folder / "new", "--resolution", "tiny", "--subjects", 2, "--healthy", 0, "--difficulty", "easy",
          "--seed", 77)  # fmt: skip
    model = json.loads((folder / "ours.cmbtk" / MODEL).read_text("utf-8"))
    for point in model["points"].values():
        point["threshold"] = 0.0  # its network has learned nothing: everything is a finding
    (folder / "ours.cmbtk" / MODEL).write_text(json.dumps(model), "utf-8")
    typed("detect", folder / "ours.cmbtk", folder / "new", "-o", folder / "results", "--jobs", 1)
    typed("review", "write", folder / "results", "-o", folder / "review")
    table = filled_in(folder / "review", read(folder / "new" / "microbleeds.tsv"), {"sub-002"})
    table.to_csv(folder / "back.tsv", sep="\t", index=False, na_rep="n/a")
    typed("review", "read", folder / "review", folder / "back.tsv")
    return folder


@pytest.fixture
def asked(round_of_review):
    folder = round_of_review
    given = {"reviewed": folder / "review", "parent": folder / "ours.cmbtk", "scans": folder / "new"}
    return lambda **other: Reviewing(**{**given, "other_persons": True, **other})


@pytest.mark.slow
def test_a_round_makes_the_next_model(round_of_review, asked, tmp_path, without_pictures):
    root, out = round_of_review / "study", tmp_path / "next.cmbtk"
    study = Study(root)
    (old,) = study.cells()
    before = {path: sha256(path) for path in sorted(old.folder.rglob("*")) if path.is_file()}
    content = anyhow(study, lambda: train_reviewed(root, out, asked(), Training(epochs=1)))
    assert {path: sha256(path) for path in before} == before, "the parent's cell is as it was"
    (new,) = [cell for cell in study.cells() if cell != old]

    marks = read(round_of_review / "new" / "microbleeds.tsv")
    reviewed = read(round_of_review / "review" / "agreed" / "microbleeds.tsv")
    assert len(reviewed) >= (marks["participant_id"] == "sub-001").sum()
    rejected = read(round_of_review / "review" / "agreed" / "findings.tsv")
    rejected = rejected[rejected["verdict"] == "no"]
    assert content.parent.sha256 == sha256(round_of_review / "ours.cmbtk" / MODEL)
    assert (content.parent.scans, content.parent.microbleeds) == (1, len(reviewed))
    assert content.parent.rejected == {"vein": len(rejected)}
    found = content.parent.points["balanced"].sensitivity
    assert found[1] == pytest.approx(content.points["balanced"].sensitivity[0])
    assert content.parent.subjects == len(read_fold(study, "1").test) + len(read_fold(study, "1").control)
    with opened(round_of_review / "ours.cmbtk") as bundle:
        parent = bundle.content
    assert content.learned.scans == parent.learned.scans + 1
    assert set(content.learned.digests) > set(parent.learned.digests)
    assert content.files[CLASSIFIER] != parent.files[CLASSIFIER]
    assert "Beside its parent" in (out / "MODEL_CARD.md").read_text("utf-8")

    table = read(new.patches / "patches.tsv")
    mine = table[table["origin"] == "reviewed"]
    assert set(mine["role"]) == {"train"}
    assert mine["participant_id"].str.startswith("sub-reviewed").all()
    assert mine["participant_id"].nunique() == 1
    noted = record_of(new.patches)
    copies = noted["copies_of_rejected"]
    again = mine["candidate_id"].str.contains(r"_\d$")
    assert again.sum() == (copies - 1) * noted["rejected"]
    assert (mine.loc[again, "label"] == 0).all()
    assert len(table) - len(mine) == len(read(old.patches / "patches.tsv"))
    assert (mine["candidate_id"].str.contains("_cmb-")).sum() == len(reviewed)
    evaluate(new.folder)  # nobody whom it was tested on was learned from


def test_who_was_held_out_is_not_learned_from(round_of_review, asked, tmp_path):
    folder = round_of_review
    with pytest.raises(DataError, match=r"sub-00.: somebody is called so on whom the models are judged"):
        train_reviewed(folder / "study", tmp_path / "n.cmbtk", asked(other_persons=False))
    with pytest.raises(DataError, match=r"sub-00.: is the scan of sub-00., on whom the models are judged"):
        train_reviewed(folder / "study", tmp_path / "n.cmbtk", asked(scans=folder / "study"))


def test_what_does_not_go_together_is_refused(round_of_review, asked, tmp_path, typed):
    folder = round_of_review
    with pytest.raises(UsageError, match="belong together"):
        train_reviewed(folder / "study", tmp_path / "n.cmbtk", asked(scans=None))
    with pytest.raises(UsageError, match="--quick is decided by the model"):
        train_reviewed(folder / "study", tmp_path / "n.cmbtk", asked(), Training(quick=True))
    with pytest.raises(MissingError, match="none of its cells has the second stage of"):
        train_reviewed(folder / "new", tmp_path / "n.cmbtk", asked())
    said = typed("train", folder / "study", "-o", tmp_path / "n.cmbtk", "--reviewed", folder / "review", code=2)
    assert "--reviewed, --parent and --scans belong together" in said
