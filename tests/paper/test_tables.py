import io
import re
from dataclasses import replace

import pandas as pd
import pytest

from cmb_toolkit.errors import DataError
from cmb_toolkit.paper.audit import audit
from cmb_toolkit.paper.published import published_table
from cmb_toolkit.paper.slips import NOTED
from cmb_toolkit.paper.tables import overview, paper_tables, scanner_of

INPUT = "swi+cphase-averaged"


def frame(table):
    return pd.read_csv(io.StringIO(table.tsv()), sep="\t", dtype=str, keep_default_na=False)


def sides(table):
    """This study's and the printed cells of the same heading, row by row."""
    values = frame(table)
    for name in values:
        if name.startswith("The paper, printed: "):
            heading = name.removeprefix("The paper, printed: ")
            for n, row in values.iterrows():
                yield n, heading, row[f"This study: {heading}"], row[name], row["note"]


@pytest.mark.parametrize("number", [1, 2, 4, 5, 6, 7, 8])
def test_the_papers_counts_give_the_papers_values_but_for_its_slips(papers_study, number):
    table = paper_tables(papers_study())[number - 1]
    noted = {}
    for n, heading, ours, printed, note in sides(table):
        assert ours != "not run"
        if ours != printed:
            noted[n, heading] = note
    assert {note.partition(":")[0] for note in noted.values()} <= {"slip", "rounding"}
    slips = {1: 0, 2: 0, 4: 1, 5: 0, 6: 0, 7: 1, 8: 0}[number]
    assert sum(note.startswith("slip") for note in noted.values()) == slips
    assert sum(note.startswith("rounding") for note in noted.values()) == {2: 1, 4: 2}.get(number, 0)
    assert len(list(sides(table))) >= {1: 36, 2: 10, 4: 60, 5: 36, 6: 36, 7: 8, 8: 12}[number]


def test_tables_3_and_9_differ_where_the_paper_does(papers_study):
    tables = paper_tables(papers_study())
    third = {(n, heading): (ours, printed) for n, heading, ours, printed, _ in sides(tables[2])}
    assert third[0, "Sensitivity (%)"] == ("100.00", "100.00")
    assert third[1, "FPavg"] == ("157.00", "683.0")  # table 4 has LR at another confidence than table 3
    assert third[2, "FPavg"] == ("479.17", "479.17")
    ninth = frame(tables[8])
    ours = ninth["This study: Overall sensitivity (%)"].tolist()[-8:]
    assert ours == ["62.59", "62.59", "72.38", "72.38", "81.38", "81.38", "88.30", "88.30"]
    assert ninth["The paper, printed: Overall sensitivity (%)"].tolist()[-6] == "72.78"
    assert ninth["This study: Seconds a subject"].tolist()[-2:] == ["0.69", "\N{EN DASH}"]
    assert ninth["This study: Sensitivity (%)"].tolist()[:9] == ["n/a"] * 9  # earlier work


def test_seconds_are_those_of_all_folds_together(papers_study):
    study = papers_study()
    seconds = study.seconds.copy()
    seconds.loc[seconds["cell"] == f"HR_{INPUT}_fold-2", ["seconds", "subjects"]] = [100.0, 6]
    ninth = frame(paper_tables(replace(study, seconds=seconds))[8])
    mine = seconds[seconds["cell"].str.fullmatch(rf"HR_{re.escape(INPUT)}_fold-\d")]
    value = mine["seconds"].sum() / mine["subjects"].sum()
    assert ninth["This study: Seconds a subject"].tolist()[-2] == f"{value:.3g}"


def test_whatever_the_audit_finds_in_a_table_has_a_footnote_there(papers_study):
    tables = paper_tables(papers_study())
    checks = audit()
    found = checks[(checks["verdict"] != "agrees") & checks["where"].str.startswith("Table")]
    assert len(found) > 7
    for where, printed in zip(found["where"], found["printed"], strict=True):
        match = re.fullmatch(r"Table (\d), (.*)", where)
        assert (int(match[1]), match[2]) in NOTED
        cells = [cell for row in tables[int(match[1]) - 1].rows for cell in row.cells if cell.text == printed]
        assert any(cell.note.startswith(("slip", "rounding")) for cell in cells), where


def test_every_note_on_a_printed_row_has_its_columns():
    for number in range(2, 10):
        table = published_table(number)
        for row, note in table["note"].items():
            biased = "set up the experiments" in note  # said under table 4
            product = note.startswith("overall") or "computed by" in note
            assert note == "n/a" or biased or product or (number, row) in NOTED, (number, row)
    for (number, row), columns in NOTED.items():
        assert published_table(number).at[row, "note"] != "n/a"
        assert set(columns) <= set(published_table(number))


def test_printed_values_stand_as_printed(papers_study):
    text = "".join(table.markdown() for table in paper_tables(papers_study()))
    for value in ("155.50<sup>", "155.5<sup>", "2.14<sup>", "72.78<sup>", "479.17<sup>", "64.35<sup>"):
        assert value in text.replace("**", "")


def test_cells_that_are_missing_are_not_run(papers_study):
    everything = [cell.cell for cell in papers_study().cells]
    keep = {f"HR_{INPUT}_fold-1", f"HR_{INPUT}_fold-2"}
    study = papers_study(leave_out=[name for name in everything if name not in keep], best={"HR": ("2", "2")})
    tables = paper_tables(study)
    fourth = frame(tables[3])
    notes = fourth["note"].tolist()
    assert notes[:2] == ["n/a", "n/a"]
    assert all(note.startswith("not run") for note in notes[6:])  # all of LR
    assert fourth["Test set"].tolist()[5] == "HR, total of 2 folds"
    assert fourth["This study: TPs"].tolist()[:6] == ["36", "27", "n/a", "n/a", "n/a", "63"]
    assert frame(tables[5])["note"].str.contains("not run").all()
    assert frame(tables[7])["note"].tolist() == ["not run", "not run"]
    assert "not run" in tables[8].markdown()
    assert "HR, 2 folds" in overview(study).markdown()
    assert "LR, 0 folds" in overview(study).markdown()


def test_a_single_fold_is_no_total(papers_study):
    everything = [cell.cell for cell in papers_study().cells]
    study = papers_study(leave_out=[name for name in everything if name != f"HR_{INPUT}_fold-3"])
    fourth = frame(paper_tables(study)[3])
    assert fourth.loc[fourth["Test set"] == "HR, total", "note"].tolist() == ["not run"]


def test_totals_are_drawn_over_all_subjects(papers_study):
    total = next(row for row in paper_tables(papers_study())[4].rows if row.total)
    sensitivity = total.cells[3]
    assert sensitivity.text == "94.32"
    low, high = map(float, sensitivity.interval)
    assert low < 94.32 < high
    assert (low, high) != (25.0, 75.0)


def test_other_names_and_simulated_scans_are_said(papers_study):
    study = papers_study()
    cells = tuple(
        replace(each, resolution=each.resolution.replace("HR", "slab"), simulated=True) for each in study.cells
    )
    cohort = study.cohort.replace({"resolution": {"HR": "slab"}})
    renamed = replace(study, cells=cells, cohort=cohort, resolutions={"HR": "slab", "LR": "LR"})
    for table in paper_tables(renamed):
        text = table.markdown()
        assert "slab stands for HR" in text
        assert "are simulated" in text
    third = paper_tables(renamed)[2].markdown()
    assert "| HR+LR (slab+LR) | 91.62" in third


def test_the_rule_stands_under_every_table_that_counts_hits(papers_study):
    for table in paper_tables(papers_study())[1:]:
        assert any("IoU > 0.8 on the labelled slice" in note for note in table.notes)


def test_different_rules_do_not_meet(papers_study):
    study = papers_study()
    other = replace(study.cells[0], rules={"paper": "another"})
    with pytest.raises(DataError, match="under different rules"):
        paper_tables(replace(study, cells=(other, *study.cells[1:])))


def test_folds_of_scanners():
    assert scanner_of("scanner-verio") == "verio"
    assert scanner_of("1") is None
    assert scanner_of("scanner-") is None


def test_equal_results_give_equal_text(papers_study):
    for first, second in zip(paper_tables(papers_study()), paper_tables(papers_study()), strict=True):
        for form in ("markdown", "tsv", "latex", "html"):
            assert getattr(first, form)() == getattr(second, form)()
