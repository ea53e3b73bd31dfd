import io
from dataclasses import replace

import pandas as pd
import pytest
from rich.console import Console

from cmb_toolkit.errors import DataError
from cmb_toolkit.evaluation.intervals import wilson
from cmb_toolkit.evaluation.results import CellResult, StageResult, Threshold
from cmb_toolkit.evaluation.summary import result_rows
from cmb_toolkit.model import Counts
from cmb_toolkit.paper.result_tables import audit_page, result_page

LABELS = {"paper": "paper rule: IoU > 0.8 on the labelled slice", "centre": "centre rule: within 3 mm"}


def cell(resolution="HR", fold="1", *, controls=True, stage2=True, simulated=False, labels=LABELS):
    intervals = dict.fromkeys(("sensitivity", "precision", "f1", "fp_per_subject"), (0.5, 0.75))
    stages = [StageResult("centre", "test", "stage1", Counts(36, 752, 4, 0, 14), 7, intervals)]
    if stage2:
        stages.append(StageResult("centre", "test", "stage2", Counts(34, 11, 2, 741, 14), 3, intervals))
        stages.append(StageResult("centre", "test", "overall", Counts(34, 11, 6, 0, 14), 3, intervals))
    if controls:
        stages.append(StageResult("centre", "control", "stage1", Counts(fp=30, subjects=4)))
        if stage2:
            stages.append(StageResult("centre", "control", "stage2", Counts(fp=3, tn=27, subjects=4)))
            stages.append(StageResult("centre", "control", "overall", Counts(fp=3, subjects=4)))
    thresholds = {"stage1": Threshold(0.01, "given"), "stage2": Threshold(0.37, "on the validation subjects")}
    name = f"{resolution}_swi_fold-{fold}"
    return CellResult(name, resolution, "swi", fold, simulated, labels, thresholds, tuple(stages))


def subjects(*cells):
    rows = [
        (each.cell, "centre", "test", stage, 2, 1, 50)
        for each in cells
        for stage in ("stage1", "stage2", "overall")
        for _ in range(14)
    ]
    return pd.DataFrame(rows, columns=["cell", "rule", "role", "stage", "tp", "fn", "fp"])


def shown(page, width=80):
    console = Console(file=io.StringIO(), width=width)
    page.show(console)
    return console.file.getvalue()


def test_rows_hold_counts_rates_and_intervals():
    rows = result_rows([cell()], subjects(), "centre", "stage2")
    assert len(rows) == 1
    line = rows.iloc[0]
    assert (line["tp"], line["fn"], line["fp"], line["microbleeds"], line["duplicates"]) == (34, 2, 11, 36, 3)
    assert line["sensitivity"] == pytest.approx(34 / 36)
    assert (line["precision_low"], line["precision_high"]) == (0.5, 0.75)
    assert line["specificity"] == pytest.approx(0.9)
    assert line["controls_fp_per_subject"] == 0.75


def test_folds_are_pooled_by_their_counts():
    cells = [cell(fold="1"), cell(fold="2")]
    rows = result_rows(cells, subjects(*cells), "centre", "stage1").set_index("fold")
    assert rows.index.tolist() == ["1", "2", "all"]
    assert rows.loc["all", ["tp", "fp", "subjects", "duplicates", "controls"]].tolist() == [72, 1504, 28, 14, 8]
    assert rows.loc["all", "sensitivity"] == pytest.approx(72 / 80)
    # from the subjects' table: 28 persons who are all alike
    assert rows.loc["all", "sensitivity_low"] == pytest.approx(wilson(2 / 3, 28)[0])


def test_the_page_stands_beside_the_paper_and_fits_80_columns():
    cells = [cell(fold="1"), cell(fold="2")]
    page = result_page(cells, subjects(*cells), "centre")
    text = shown(page)
    assert max(map(len, text.splitlines())) <= 80
    assert "…" not in text
    for value in ("93.62", "52.18", "94.32", "61.94", "74.77", "88.30", "1.42", "54.29", "99.08"):
        assert value in text  # as printed
    assert text.count("centre rule: within 3 mm") >= 5
    assert "by the paper rule" in text
    assert "other data" not in text  # the cell's own resolution is the paper's
    assert "stage 1 confidence >= 0.01 (given), probability >=" in text
    assert "simulated" not in text


def test_slips_of_the_paper_are_marked_where_they_stand():
    text = shown(result_page([cell("LR")], subjects(), "centre"))
    for value in ("155.50*", "72.78*", "2.14*"):
        assert value in text
    flat = " ".join(text.split())
    assert "add up to 158.91" in flat
    assert "give 72.38" in flat
    assert "give 3.75" in flat
    assert "91.80 " in text


def test_another_resolution_gets_the_papers_hr_row_and_simulation_is_said():
    text = shown(result_page([cell("slab", simulated=True)], subjects(), "centre"))
    assert "paper HR, other data" in text
    assert "simulated scans" in text
    assert "patients" in text


def test_without_controls_or_stage_2_there_are_no_such_tables():
    page = result_page([cell(controls=False, stage2=False)], subjects(), "centre")
    assert len(page.tables) == 1
    assert "Stage 1" in page.tables[0].title
    assert len(result_page([cell(controls=False)], subjects(), "centre").tables) == 3
    assert len(result_page([cell(stage2=False)], subjects(), "centre").tables) == 2


def test_cells_of_two_inputs_do_not_meet_in_one_table():
    cells = [cell("HR"), cell("LR"), cell("HR", "2"), cell("HR", "10")]
    page = result_page(cells, subjects(*cells), "centre")
    assert len(page.tables) == 8
    assert [row.cells[0].text for row in page.tables[0].rows[:4]] == ["fold 1", "fold 2", "fold 10", "all folds"]


def test_different_rules_do_not_meet_in_one_table():
    other = cell(fold="2", labels={**LABELS, "centre": "centre rule: within 5 mm"})
    with pytest.raises(DataError, match=r"HR_swi_fold-2: centre rule: within 5 mm.*--distance-mm"):
        result_page([cell(), other], subjects(), "centre")


def test_markdown_has_every_row():
    page = result_page([cell(fold="1"), cell(fold="2")], subjects(), "centre")
    text = page.markdown()
    assert text.startswith("## Results, centre rule: within 3 mm\n")
    tables = [line for line in text.splitlines() if line.startswith("|")]
    assert sum(line.startswith("| fold 2 |") for line in tables) == 4
    assert len({line.count("|") for line in tables if "stage 1" in line}) == 1


def test_the_audit_lists_the_slips():
    text = shown(audit_page(), 120)
    for value in ("158.91", "3.75", "72.38", "86.59", "431.29", "572"):
        assert value in text
    assert "6 places" in text


def test_validation_results_have_no_place_in_the_tables():
    validated = replace(cell(), stages=tuple(replace(stage, role="validation") for stage in cell().stages))
    with pytest.raises(DataError, match="no cell was evaluated on test subjects"):
        result_page([validated], subjects(), "centre")
    page = result_page([replace(validated, resolution="LR"), cell()], subjects(), "centre")
    assert len(page.tables) == 4
