"""All methods beside YOLO with its 3D-CNN."""

import io
from dataclasses import replace

import pandas as pd
import pytest

from cmb_toolkit.evaluation.results import StageResult
from cmb_toolkit.model import Counts
from cmb_toolkit.paper.method_table import method_table, methods_of
from cmb_toolkit.paper.tables import paper_tables

INPUT = "swi+cphase-averaged"


def stages(found, false, missed, *, second=None):
    """Counts of stage 1, and of both stages where there is a second: (found, false)."""
    total = found + missed
    made = [StageResult("paper", "test", "stage1", Counts(found, false, missed, 0, 10), 0, {})]
    if second:
        kept, left = second
        made.append(StageResult("paper", "test", "stage2", Counts(kept, left, found - kept, 0, 10), 0, {}))
        made.append(StageResult("paper", "test", "overall", Counts(kept, left, total - kept, 0, 10), 0, {}))
    return made


@pytest.fixture
def several(of_cells, one_cell):
    yolo = one_cell("HR", INPUT, "1", *stages(45, 500, 5, second=(40, 10)))
    heatmap = one_cell("HR", "heatmap", "1", *stages(48, 300, 2, second=(45, 5)))
    kuijf = one_cell("HR", "kuijf", "1", *stages(30, 170, 20))
    dou = one_cell("HR", "dou", "1", *stages(44, 900, 6, second=(35, 20)))
    return of_cells(yolo, dou, heatmap, kuijf, parameters={yolo.cell: 1_646_650})


def frame(table):
    return pd.read_csv(io.StringIO(table.tsv()), sep="\t", dtype=str, keep_default_na=False)


def test_each_method_has_a_row_with_its_difference_to_the_papers(several):
    table = frame(method_table(several)).set_index("Method")
    assert list(table.index) == ["HR, yolo", "HR, heatmap", "HR, dou", "HR, kuijf"]
    called = "What is called: Sensitivity (%)"
    assert table[called].str.partition(" ")[0].tolist() == ["80.00", "90.00", "70.00", "60.00"]
    assert table["Candidates: FPavg"].str.partition(" ")[0].tolist() == ["50.00", "30.00", "90.00", "\N{EN DASH}"]
    more = table["More than YOLO and 3D-CNN: Sensitivity (points)"].str.partition(" ")[0].tolist()
    assert more == ["\N{EN DASH}", "+10.0", "-10.0", "-20.0"]
    assert table["More than YOLO and 3D-CNN: FPavg"].str.partition(" ")[0].tolist()[1:] == [
        "-5.00",
        "+10.00",
        "+160.00",
    ]
    assert table["Parameters"].tolist() == ["1,646,650", *["\N{EN DASH}"] * 3]


def test_one_method_alone_is_no_comparison(several, papers_study):
    alone = replace(several, cells=several.cells[:1])
    assert method_table(alone) is None
    assert [name for name, _ in methods_of(papers_study(), "HR")] == ["yolo", "frst"]


def test_earlier_works_rows_of_table_9_hold_what_their_methods_find_here(several):
    ninth = frame(paper_tables(several)[8])
    ours = ninth["This study: Sensitivity (%)"].str.partition(" ")[0].tolist()
    assert ours[:2] == ["88.00", "79.55"], "stage 2 of what stage 1 found"
    assert ours[6] == "60.00"
    overall = ninth["This study: Overall sensitivity (%)"].str.partition(" ")[0].tolist()
    assert overall[:2] == ["70.00", "70.00"]
    assert overall[6] == "60.00"
    assert ninth["This study: Precision (%)"].str.partition(" ")[0].tolist()[6] == "15.00"
    assert ours[2:6] == ["n/a"] * 4
