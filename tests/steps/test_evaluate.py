import json
import shutil

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from cmb_toolkit.cli.main import cli
from cmb_toolkit.errors import DataError, MissingError, UsageError
from cmb_toolkit.evaluation.recipe import Evaluating
from cmb_toolkit.evaluation.results import CellResult
from cmb_toolkit.evaluation.rules import RULES
from cmb_toolkit.io.publish import Record, publish, read_record, sidecar
from cmb_toolkit.io.tables import read_tsv, write_tsv
from cmb_toolkit.model import Counts
from cmb_toolkit.steps import evaluate as module
from cmb_toolkit.steps.evaluate import evaluate

NAME = "slab_swi+cphase-averaged_fold-1"


@pytest.fixture
def cell(classified_study):
    return classified_study.cell_named(NAME)


def rewrite(path, change):
    """Publish a table again with a change."""
    table = change(pd.read_csv(path, sep="\t"))
    step = {"candidates.tsv": "stage1-detect", "findings.tsv": "stage2-classify"}[path.name]
    with publish(path, Record(step, {"roles": ["validation", "test", "control"]})) as out:
        write_tsv(table, out)


def test_counts_of_a_cell(cell, read_json):
    seen = []
    folder = evaluate(
        cell.folder, Evaluating(count="per-box"), on_progress=lambda done, total, what: seen.append((done, total))
    )
    assert folder == cell.evaluation
    result = CellResult.from_json(read_json(cell.metrics))
    assert result.find("centre", "test", "stage1").counts == Counts(tp=3, fp=2, fn=1, subjects=3)
    assert result.find("centre", "test", "overall").counts == Counts(tp=2, fp=1, fn=2, subjects=3)
    assert result.find("centre", "test", "stage2").counts == Counts(tp=2, fp=1, fn=1, tn=1, subjects=3)
    assert result.find("centre", "control", "overall").counts == Counts(fp=1, subjects=1)
    assert result.find("paper", "test", "stage1").counts == Counts(tp=2, fp=4, fn=2, subjects=3)
    assert result.find("centre", "validation", "stage1") is None
    assert (result.resolution, result.fold, result.simulated) == ("slab", "1", True)
    assert result.thresholds["stage1"].value == 0.05
    assert result.thresholds["stage2"].origin == "on the validation subjects"
    assert seen[-1] == (4, 4), "subjects"


def test_numbers_are_there_before_the_pictures_which_alone_are_made_up_for(cell):
    """Stopped in their midst, evaluate goes on with the pictures and leaves the numbers as they are."""

    def stop(done, total, what):
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        evaluate(cell.folder, Evaluating(most_false=0), on_progress=stop)
    assert cell.metrics.is_file()
    assert not (cell.evaluation / "pictures").exists()
    made = {path.name: path.stat().st_mtime_ns for path in cell.evaluation.iterdir() if not path.name.startswith(".")}
    assert {"metrics.json", "froc.tsv", "candidates.tsv"} <= made.keys()
    evaluate(cell.folder, Evaluating(most_false=0))
    assert len(list((cell.evaluation / "pictures").iterdir())) == 4
    assert (cell.evaluation / "montage.png").is_file()
    assert {name: (cell.evaluation / name).stat().st_mtime_ns for name in made} == made
    calls = []
    evaluate(cell.folder, Evaluating(most_false=0), on_progress=lambda *report: calls.append(report))
    assert not calls, "all is there"


def test_several_processes_draw_the_same(cell, monkeypatch):
    evaluate(cell.folder, Evaluating(most_false=0))
    alone = {path.name: path.read_bytes() for path in (cell.evaluation / "pictures").iterdir()}
    montage = (cell.evaluation / "montage.png").read_bytes()
    shutil.rmtree(cell.evaluation)
    monkeypatch.setattr(module, "_MANY", 2)
    monkeypatch.setattr("os.sched_getaffinity", lambda process: range(2))
    evaluate(cell.folder, Evaluating(most_false=0))
    assert {path.name: path.read_bytes() for path in (cell.evaluation / "pictures").iterdir()} == alone
    assert (cell.evaluation / "montage.png").read_bytes() == montage


def test_tables_and_pictures(cell):
    evaluate(cell.folder, Evaluating(most_false=1))
    subjects = read_tsv(cell.evaluation / "subjects.tsv")
    assert len(subjects) == 4 * 3 * 4  # rules, stages, subjects
    microbleeds = read_tsv(cell.evaluation / "microbleeds.tsv")
    assert microbleeds["centre_overall"].notna().tolist() == [True, False, True, False]
    froc = read_tsv(cell.evaluation / "froc.tsv")
    assert set(zip(froc["rule"], froc["stage"], strict=True)) == {
        (rule, stage) for rule in RULES for stage in ("stage1", "overall")
    }
    assert sorted(path.name for path in (cell.evaluation / "pictures").iterdir()) == [
        "false_sub-002_cand-0006.png",
        "found_sub-001_microbleed-01.png",
        "found_sub-002_microbleed-01.png",
        "missed_sub-001_microbleed-02.png",
        "missed_sub-003_microbleed-01.png",
    ]
    assert (cell.evaluation / "montage.png").stat().st_size > 10_000


def test_running_again_does_nothing_and_a_change_does(cell, without_pictures):
    evaluate(cell.folder)
    before = cell.metrics.stat().st_mtime_ns
    evaluate(cell.folder)
    assert cell.metrics.stat().st_mtime_ns == before
    evaluate(cell.folder, Evaluating(distance_mm=2.0))
    assert cell.metrics.stat().st_mtime_ns != before
    assert "within 2 mm" in cell.metrics.read_text()


def merge_second_box(cell):
    """As stage1-detect leaves it: the second box of the first lesion is no candidate of its own."""
    table = read_tsv(cell.candidates)
    table.loc[1, "candidate_id"] = table["candidate_id"][0]
    with publish(cell.detections, Record("stage1-detect", {"merge": "auto"})) as out:
        write_tsv(table, out)
    roles = ["validation", "test", "control"]
    for path, step in ((cell.candidates, "stage1-detect"), (cell.findings, "stage2-classify")):
        fewer = read_tsv(path).drop(index=1)
        with publish(path, Record(step, {"roles": roles, "merge": "auto"})) as out:
            write_tsv(fewer, out)


def test_lesions_of_stage_1_are_counted_as_they_are_or_box_by_box(cell, read_json, without_pictures):
    merge_second_box(cell)
    evaluate(cell.folder, Evaluating(most_false=0))
    result = CellResult.from_json(read_json(cell.metrics))
    assert (result.count, result.link_mm) == ("per-lesion", None)
    assert result.find("paper", "test", "stage1").counts == Counts(tp=2, fp=3, fn=2, subjects=3)
    assert all(label.endswith("; per lesion") for label in result.rules.values())
    assert "merged" not in set(read_tsv(cell.evaluation / "candidates.tsv")["paper_stage1"])
    evaluate(cell.folder, Evaluating(most_false=0, count="per-box"))
    result = CellResult.from_json(read_json(cell.metrics))
    assert result.find("paper", "test", "stage1").counts == Counts(tp=2, fp=4, fn=2, subjects=3)
    assert result.find("paper", "test", "overall").counts == Counts(tp=2, fp=2, fn=2, subjects=3)
    assert all(label.endswith("; per box") for label in result.rules.values())
    boxes = read_tsv(cell.evaluation / "candidates.tsv")
    assert boxes["candidate_id"].tolist()[:3] == [
        "sub-001_cand-0001_box-1",
        "sub-001_cand-0001_box-2",
        "sub-001_cand-0003_box-1",
    ]
    assert boxes["probability"].tolist()[:2] == [0.98, 0.98]


def test_boxes_of_other_candidates(cell):
    merge_second_box(cell)
    write_tsv(read_tsv(cell.detections).iloc[3:], cell.detections)
    with pytest.raises(DataError, match=r"detections\.tsv: lacks boxes of candidates in candidates\.tsv"):
        evaluate(cell.folder, Evaluating(count="per-box"))


def test_per_lesion(cell, read_json, without_pictures):
    evaluate(cell.folder, Evaluating(count="per-lesion", link_mm=3.0, most_false=0))
    result = CellResult.from_json(read_json(cell.metrics))
    assert (result.count, result.link_mm) == ("per-lesion", 3.0)
    # the second box of the first lesion is no false positive of its own any more
    assert result.find("paper", "test", "stage1").counts == Counts(tp=2, fp=3, fn=2, subjects=3)
    assert result.find("centre", "test", "stage1").duplicates == 0
    assert all(label.endswith("; per lesion (boxes linked within 3 mm)") for label in result.rules.values())
    outcomes = read_tsv(cell.evaluation / "candidates.tsv")
    assert outcomes["paper_stage1"].tolist()[:2] == ["tp", "merged"]
    assert outcomes["lesion"].tolist()[:3] == [0, 0, 1]


def test_results_by_patient_and_the_curve_in_one_number(cell, read_json, without_pictures):
    evaluate(cell.folder, Evaluating(most_false=0, count="per-box"))
    result = CellResult.from_json(read_json(cell.metrics))
    assert (result.count, result.link_mm) == ("per-box", None)
    overall = result.find("valdo", "test", "overall")
    assert overall.averages["f1"].subjects == 3
    assert overall.averages["count_error"].mean == pytest.approx((0 + 1 + 1) / 3)
    assert overall.classes["1-4"] == {"0": 1, "1-4": 2, ">=5": 0}
    assert overall.cpm.sensitivity == (0.25, 0.25, 0.5, 0.75, 0.75, 0.75, 0.75)  # 3 subjects, 4 microbleeds
    assert 0 <= overall.cpm.low <= overall.cpm.value <= overall.cpm.high <= 1
    assert result.find("valdo", "test", "stage2").cpm is None
    assert result.find("valdo", "control", "overall").cpm is None
    assert result.strata == ()  # these marks have places only


def test_strata_where_the_truth_knows_more(cell, classified_study, read_json, without_pictures):
    marks = read_tsv(classified_study.microbleeds)
    write_tsv(marks.assign(diameter_mm=[2.5, 6, 3, 3], region="lobar"), classified_study.microbleeds)
    place = read_tsv(cell.candidates).set_index("candidate_id").loc["sub-002_cand-0006"]
    x, y, z = (float(place[axis]) for axis in ("x_mm", "y_mm", "z_mm"))
    vein = {"kind": "vein", "x_mm": x + 2, "y_mm": y, "z_mm": z}
    for subject in ("sub-001", "sub-002"):
        truth = classified_study.simulated_truth(subject)
        truth.parent.mkdir(parents=True)
        truth.write_text(json.dumps({"microbleeds": [], "mimics": [vein] if subject == "sub-002" else []}))
        brain = np.zeros((96, 112, 12), np.uint8)
        brain[4:82, 4:108] = 1  # its rim is 0.9 mm from the false positive at (80, 20, 3)
        nib.save(nib.Nifti1Image(brain, np.diag([0.9, 0.9, 2.0, 1.0])), classified_study.mask(subject))
    evaluate(cell.folder, Evaluating(most_false=0))
    natures = read_tsv(cell.evaluation / "candidates.tsv").set_index("candidate_id")["nature"]
    assert natures["sub-002_cand-0006"] == "vein"
    assert natures["sub-001_cand-0004"] == "edge"
    assert natures["sub-001_cand-0001"] == "other"
    assert pd.isna(natures["sub-004_cand-0007"])  # nothing is known of this scan
    table = read_tsv(cell.evaluation / "strata.tsv").query("rule == 'centre' and stage == 'stage1'")
    sizes = table[table["by"] == "diameter_mm"].set_index("stratum")
    assert sizes["microbleeds"].to_dict() == {"2-3": 1, "3-4": 2, ">=5": 1}
    assert sizes["found"].to_dict() == {"2-3": 1, "3-4": 1, ">=5": 1}
    assert table[table["by"] == "nature"].set_index("stratum")["false_positives"].to_dict() == {"edge": 1, "vein": 1}
    result = CellResult.from_json(read_json(cell.metrics))
    assert len(result.strata) == len(read_tsv(cell.evaluation / "strata.tsv"))
    classified_study.simulated_truth("sub-001").write_text('{"mimics": []}')
    with pytest.raises(DataError, match=r"sub-001_truth\.json: not the truth of a simulated scan .*microbleeds"):
        evaluate(cell.folder, Evaluating(most_false=0))


def test_stage_1_alone(cell, read_json, without_pictures):
    cell.findings.unlink()
    evaluate(cell.folder)
    result = CellResult.from_json(read_json(cell.metrics))
    assert {each.stage for each in result.stages} == {"stage1"}
    assert list(result.thresholds) == ["stage1"]


def noting(path, **notes):
    record = json.loads(sidecar(path).read_text())
    sidecar(path).write_text(json.dumps({**record, **notes}))


def test_what_is_wrong_with_what_is_counted_is_said_and_kept(cell, without_pictures):
    """Doubts of the steps before, and labels that changed after the training."""
    said = []
    evaluate(cell.folder, Evaluating(most_false=0), on_note=said.append)
    assert said == []
    noting(cell.candidates, warnings=["sub-001: 0.9 mm per pixel, trained with 0.5"])
    noting(cell.project, contents={"lists": {"train.txt": "0123456789abcdef"}}, marks={"sub-008": "0123"})
    for _ in range(2):  # a second time nothing is counted again
        said.clear()
        evaluate(cell.folder, Evaluating(most_false=0), on_note=said.append)
        assert said[0] == "Warning: sub-001: 0.9 mm per pixel, trained with 0.5."
        assert said[1].startswith("Warning: train.txt in darknet/ changed since `cmbtk prepare-yolo` wrote them")
        assert said[2].startswith("Warning: microbleeds.tsv has other marks of sub-008 than the labels")
    assert [f"Warning: {line}." for line in read_record(cell.evaluation)["warnings"]] == said
    run = CliRunner().invoke(cli, ["evaluate", str(cell.folder), "--false-pictures", "0"], catch_exceptions=False)
    assert all(line in run.output for line in said)


def test_validation_subjects_when_asked_for(cell, read_json, classified_study):
    with pytest.raises(MissingError, match="sub-009"):  # its volumes are not there
        evaluate(cell.folder, Evaluating(roles=("validation",)))
    with pytest.raises(DataError, match="stage 1 was not run on the train subjects"):
        evaluate(cell.folder, Evaluating(roles=("test", "train")))


def test_a_cell_before_stage_1(cell):
    cell.candidates.unlink()
    with pytest.raises(MissingError, match=r"candidates\.tsv: not found\. Run `cmbtk stage1-detect`"):
        evaluate(cell.folder)


def test_findings_of_other_candidates(cell):
    rewrite(cell.findings, lambda table: table.iloc[1:])
    with pytest.raises(DataError, match=r"findings\.tsv: not made from the present candidates\.tsv"):
        evaluate(cell.folder)


def test_a_verdict_that_is_none(cell):
    rewrite(cell.findings, lambda table: table.assign(kept="maybe"))
    with pytest.raises(DataError, match="column kept must hold True or False"):
        evaluate(cell.folder)


def test_candidates_of_another_split(cell):
    rewrite(cell.candidates, lambda table: table.assign(role="train"))
    with pytest.raises(DataError, match=r"candidates\.tsv: sub-001, sub-002, sub-004 used for training"):
        evaluate(cell.folder)


def test_a_missing_column_is_named(cell):
    rewrite(cell.candidates, lambda table: table.drop(columns="z_mm"))
    with pytest.raises(DataError, match=r"candidates\.tsv: column z_mm missing"):
        evaluate(cell.folder)


def test_parameters_out_of_range(cell):
    for wrong in (
        {"roles": ("tests",)},
        {"roles": ()},
        {"most_false": -1},
        {"distance_mm": 0},
        {"rule": "voxel"},
        {"count": "per-slice"},
        {"link_mm": 0},
    ):
        with pytest.raises(UsageError):
            evaluate(cell.folder, Evaluating(**wrong))
    assert not cell.evaluation.exists()


def test_the_command(cell):
    result = CliRunner().invoke(cli, ["evaluate", str(cell.folder)])
    assert result.exit_code == 0, result.output
    assert "test, stage 1: 3 of 4 microbleeds (75.0 %), 2 false positives in 3 subjects (0.67 each)" in result.output
    assert "centre rule: within 3 mm" in result.output
    assert str(cell.evaluation) in result.output


def test_the_command_on_something_else(tmp_path):
    result = CliRunner().invoke(cli, ["evaluate", str(tmp_path)])
    assert isinstance(result.exception, MissingError)
    assert "not a cell" in str(result.exception)


def with_columns(study, **columns):
    table = read_tsv(study.participants)
    for name, values in columns.items():
        table[name] = [values.get(subject) for subject in table["participant_id"]]
    with publish(study.participants, Record("import", {})) as path:
        write_tsv(table, path)


def test_patients_nobody_has_read_are_not_counted(cell, classified_study, read_json, without_pictures):
    with_columns(classified_study, read={"sub-001": "no"})
    evaluate(cell.folder, Evaluating(most_false=0))
    result = CellResult.from_json(read_json(cell.metrics))
    assert result.find("centre", "test", "stage1").counts == Counts(tp=1, fp=1, fn=1, subjects=2)
    assert result.warnings == ("nobody has read the scans of sub-001, and they are not counted",)
    shown = CliRunner().invoke(cli, ["evaluate", str(cell.folder), "--false-pictures", "0"]).output
    assert "Warning: nobody has read the scans of sub-001" in shown
    assert "sub-001" in CliRunner().invoke(cli, ["tables", str(classified_study.root)]).output
    with_columns(classified_study, read=dict.fromkeys(["sub-001", "sub-002", "sub-003"], "no"))
    with pytest.raises(DataError, match="no test subject to evaluate; nobody has read the scans of sub-001, sub-002"):
        evaluate(cell.folder, Evaluating(roles=("test",)))


def test_it_is_said_that_simulated_subjects_were_learned_from(cell, classified_study, read_json, without_pictures):
    with_columns(classified_study, simulated={"sub-008": "yes"})
    said = "1 of the 1 subjects it was trained on are simulated"
    evaluate(cell.folder, Evaluating(most_false=0))
    assert CellResult.from_json(read_json(cell.metrics)).warnings == (said,)
    shown = CliRunner().invoke(cli, ["tables", str(classified_study.root)]).output
    assert said in " ".join(shown.split())


def test_intervals_are_over_persons(cell, classified_study, read_json, without_pictures):
    evaluate(cell.folder, Evaluating(most_false=0))
    apart = CellResult.from_json(read_json(cell.metrics)).find("centre", "test", "stage1")
    assert "person_id" not in read_tsv(cell.evaluation / "subjects.tsv")
    with_columns(classified_study, person_id=dict.fromkeys(["sub-001", "sub-002", "sub-003"], "sub-one"))
    evaluate(cell.folder, Evaluating(most_false=0))
    together = CellResult.from_json(read_json(cell.metrics)).find("centre", "test", "stage1")
    assert together.counts == apart.counts
    low, high = together.intervals["sensitivity"]
    assert low < 0.3, "one person says little"
    assert high > 0.95
    assert set(read_tsv(cell.evaluation / "subjects.tsv")["person_id"]) == {"sub-one", "sub-004"}
