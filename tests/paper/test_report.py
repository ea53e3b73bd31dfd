import json
import re

import matplotlib as mpl
import nibabel as nib
import numpy as np
import pytest

from cmb_toolkit.errors import MissingError, UsageError
from cmb_toolkit.io.publish import Record, publish
from cmb_toolkit.io.tables import read_tsv, write_tsv
from cmb_toolkit.paper.report import paper_report, report_by
from cmb_toolkit.paper.results import default_resolutions, study_results
from cmb_toolkit.paper.settings import load_settings
from cmb_toolkit.paper.tables import paper_tables
from cmb_toolkit.report.page import Picture
from cmb_toolkit.study.results import evaluated_cells

SLAB = {"HR": "slab", "LR": "slab-lr"}


@pytest.fixture
def evaluated(evaluated_study):
    """Two evaluated cells of one resolution, with everything that pictures need."""
    study = evaluated_study
    for subject in ("sub-001", "sub-002", "sub-003", "sub-004"):
        swi = nib.load(study.swi(subject))
        brain = (swi.get_fdata() != 0).astype(np.uint8)
        nib.save(nib.Nifti1Image(brain, swi.affine), study.mask(subject))
        nib.save(swi, study.magnitude(subject))
    return study


@pytest.fixture
def made(evaluated, tmp_path):
    """The paper's tables of a study, without the report around them."""

    def make(number, *, rule="centre", best_fold="validation"):
        results = study_results(
            evaluated,
            evaluated_cells(evaluated),
            resolutions=SLAB,
            input_name="swi+cphase-averaged",
            rule=rule,
            best_fold=best_fold,
        )
        path = tmp_path / "table.tsv"
        path.write_text(paper_tables(results)[number - 1].tsv())
        return read_tsv(path)

    return make


def test_the_folder_holds_every_table_and_figure(evaluated):
    folder = paper_report(evaluated.root, resolutions=SLAB)
    assert folder == evaluated.root / "report"
    names = {path.name for path in (folder / "tables").iterdir()}
    assert {f"table-{n}.{ending}" for n in range(1, 10) for ending in ("md", "tsv", "tex")} <= names
    assert {path.name for path in (folder / "figures").iterdir()} == {
        *(f"figure-{n}.png" for n in range(2, 8)),
        "froc-HR.png",
    }
    for path in (folder / "figures").iterdir():
        image = mpl.image.imread(path)
        assert min(image.shape[:2]) > 200
        assert image[..., :3].std() > 0.01
    page = (folder / "index.html").read_text("utf-8")
    assert page.count("<img ") == 7
    assert len(re.findall(r'<table id="table-\d"', page)) == 9
    assert "Simulated scans." in page
    assert not re.search(r'(?:src|href)="(?!#|data:)', page)


def test_hits_are_counted_as_the_evaluations_did_and_the_first_line_says_how(
    evaluated_study, evaluated_by, monkeypatch
):
    empty = {n: Picture(f"figure-{n}", "", "", "", b"") for n in range(2, 8)}
    monkeypatch.setattr("cmb_toolkit.paper.report._pictures", lambda *given: empty)
    evaluated_by("overlap", *evaluated_study.cells())
    page = (report_by(load_settings("demo"), evaluated_study.root) / "index.html").read_text("utf-8")
    first = re.search(r"<h1>.*?</h1>\s*<p>(.*?)</p>", page, re.DOTALL)[1]
    assert first.startswith("Hits are counted by the overlap rule: boxes overlap on the labelled slice")
    assert "centre rule" not in page


def test_numbers_are_those_of_the_cells(made):
    fourth = made(4).set_index("Test set")
    assert fourth.loc["HR (slab), fold 1", "This study: TPs"] == 3
    assert fourth.loc["HR (slab), fold 2", "This study: TPs"] == 2
    assert fourth.loc["HR (slab), total of 2 folds", "This study: TPs"] == 5
    assert fourth.loc["HR (slab), fold 1", "This study: Threshold"] == 0.05
    assert fourth.loc["HR (slab), fold 3", "note"].startswith("not run")
    assert fourth.loc["LR (slab-lr), fold 1", "note"] == "not run"
    assert fourth.loc["LR (slab-lr), total", "The paper, printed: FPavg"] == 155.5
    seventh = made(7).set_index("Data")
    assert seventh.loc["HR (slab)", "This study: FPavg, stage 1"] == 2
    assert seventh.loc["HR (slab)", "This study: Specificity, stage 2 (%)"] == 50


def test_another_rule_has_other_numbers(made):
    assert made(4, rule="paper").loc[0, "This study: TPs"] == 2


def test_equal_input_gives_equal_bytes_and_nothing_is_done_twice(evaluated):
    folder = paper_report(evaluated.root, resolutions=SLAB)
    note = folder.with_suffix(".json")
    before, content = note.stat().st_mtime_ns, {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()}
    paper_report(evaluated.root, resolutions=SLAB)
    assert note.stat().st_mtime_ns == before
    note.unlink()
    paper_report(evaluated.root, resolutions=SLAB)
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == content
    for path in content:
        if path.suffix != ".png":
            assert str(evaluated.root.parent) not in path.read_text("utf-8")


def test_volumes_that_are_gone_cost_their_pictures_only(evaluated):
    for subject in ("sub-001", "sub-002", "sub-003", "sub-004"):
        for path in (evaluated.swi(subject), evaluated.phase(subject), evaluated.magnitude(subject)):
            path.unlink()
    folder = paper_report(evaluated.root, resolutions=SLAB)
    assert {path.name for path in (folder / "figures").iterdir()} == {"figure-4.png", "figure-7.png", "froc-HR.png"}
    assert "Figure 5." in (folder / "index.html").read_text("utf-8")
    assert (folder / "index.html").read_text("utf-8").count("not drawn") == 4


def test_folds_and_their_microbleeds(evaluated, made):
    rows = [
        ("1", "sub-001", "test"),
        ("1", "sub-002", "train"),
        ("2", "sub-002", "test"),
        ("scanner-a", "sub-003", "test"),
    ]
    evaluated.folds.write_text("fold\tparticipant_id\trole\n" + "".join("\t".join(row) + "\n" for row in rows))
    first = made(1).set_index("Test set")
    assert first.loc["HR (slab), fold 1", ["This study: Subjects", "This study: Microbleeds"]].tolist() == [1, 2]
    assert first.loc["HR (slab), total", "This study: Microbleeds"] == 3
    assert first.loc["LR (slab-lr), total", "note"] == "no folds"


def test_the_best_fold_is_chosen_on_validation_subjects(evaluated, made):
    cells = [evaluated.cell("slab", "swi+cphase-averaged", fold) for fold in "12"]
    content = json.loads(cells[1].metrics.read_text())
    validated = [
        {**stage, "role": "validation", "counts": {**stage["counts"], "tp": 9, "fp": 0, "fn": 0}}
        for stage in content["stages"]
        if stage["role"] == "test"
    ]
    cells[1].metrics.write_text(json.dumps({**content, "stages": content["stages"] + validated}))
    seventh = made(7)
    assert seventh.loc[0, "This study: Fold"] == 2
    cells[1].metrics.write_text(json.dumps(content))
    seventh = made(7, best_fold="paper")
    assert seventh["This study: Fold"].tolist()[0] == "1 and 2"


def test_times_are_those_that_the_steps_noted(evaluated, made):
    cell = evaluated.cell("slab", "swi+cphase-averaged", "1")
    note = json.loads(cell.candidates.with_suffix(".json").read_text())
    note["work"] = {"seconds": 12.0, "subjects": 8, "machine": "A Processor, 2 cores, no GPU"}
    cell.candidates.with_suffix(".json").write_text(json.dumps(note))
    assert made(9)["This study: Seconds a subject"].tolist()[-2] == "1.5"


def test_choices_that_make_no_sense(evaluated):
    with pytest.raises(UsageError, match="HR and LR must each name one of the study's resolutions, slab"):
        paper_report(evaluated.root, resolutions={"HR": "huge", "LR": "tiny"})
    with pytest.raises(UsageError, match="rule 'mine': not evaluated in this study; choose from"):
        paper_report(evaluated.root, resolutions=SLAB, rule="mine")
    with pytest.raises(UsageError, match="validation or paper"):
        paper_report(evaluated.root, resolutions=SLAB, best_fold="test")


def test_a_study_without_results(two_fold_study):
    with pytest.raises(MissingError, match="none of them evaluated"):
        paper_report(two_fold_study.root)


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["HR", "LR"], {"HR": "HR", "LR": "LR"}),
        (["slab-lr", "slab"], {"HR": "slab", "LR": "slab-lr"}),
        (["tiny"], {"HR": "tiny", "LR": "LR"}),
        (["LR"], {"HR": "HR", "LR": "LR"}),
    ],
)
def test_resolutions_by_their_names(two_fold_study, names, expected):
    people = read_tsv(two_fold_study.participants)
    people["resolution"] = [names[n % len(names)] for n in range(len(people))]
    with publish(two_fold_study.participants, Record("simulate", {})) as path:
        write_tsv(people, path)
    assert default_resolutions(two_fold_study) == expected
