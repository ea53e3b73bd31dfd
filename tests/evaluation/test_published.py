import pytest

from cmb_toolkit.errors import UsageError
from cmb_toolkit.evaluation.published import TABLES, audit, published_counts, published_table
from cmb_toolkit.model import Counts

SLIPS = {
    ("Section 3.2, LR", "472", "572"),
    ("Table 4, LR total", "155.50", "158.91"),
    ("Table 7, LR", "2.14", "3.75"),
    ("Table 9, LR YOLO", "72.78", "72.38"),
    ("Section 3.1.2.3, HR+LR", "91.62", "86.59"),
    ("Section 3.1.2.3, HR+LR", "479.17", "431.29"),
}


def test_the_paper_agrees_with_its_own_counts_but_for_five_slips():
    checks = audit()
    slips = checks[checks["verdict"] == "slip"]
    assert {tuple(row) for row in slips[["where", "printed", "recomputed"]].to_numpy()} == SLIPS
    # one unit in the last digit, by the paper's own rounding
    assert sorted(checks["printed"][checks["verdict"] == "rounding"]) == ["50.80", "56.44", "64.35", "80.06"]
    assert (checks["verdict"] == "agrees").sum() > 130


def test_every_table_is_checked():
    where = set(audit()["where"].str.extract(r"Table (\d)")[0].dropna().astype(int))
    assert where == set(TABLES)


def test_slips_are_noted_beside_the_printed_value():
    noted = {n for n in TABLES if published_table(n)["note"].str.startswith("slip:").any()}
    assert noted == {3, 4, 7, 9}
    assert published_table(4).at["LR total", "fp_per_subject"] == "155.50"
    assert published_table(7).at["LR", "stage2_fp_per_subject"] == "2.14"


@pytest.mark.parametrize("number", TABLES)
def test_tables_are_complete(number):
    table = published_table(number)
    assert table.index.is_unique
    assert not (table == "").any().any()


def test_values_are_kept_as_printed():
    assert published_table(1).loc["HR fold 5", ["subjects", "microbleeds"]].tolist() == ["16", "48"]
    assert published_table(2).at["swi+cphase-averaged", "sensitivity_percent"] == "100.00"
    assert published_table(3).at["LR", "fp_per_subject"] == "683.0"
    assert published_table(6).at["LR total", "f1_percent"] == "77.60"
    assert published_table(8).at["HR", "precision_percent"] == "51.16"
    assert published_table(9).at["kuijf", "seconds_per_subject"] == "900"


def test_counts_add_over_the_folds():
    assert published_counts(4, "HR total") == Counts(176, 3757, 12, 0, 72)
    assert published_counts(4, "LR total") == Counts(451, 17003, 121, 0, 107)
    assert published_counts(5, "HR total").fp == 102
    stage2 = published_counts(6, "LR total")
    assert (stage2.fp, stage2.tn) == (202, 17003 - 202)
    assert published_counts(7, "LR") == Counts(fp=30, tn=1588, subjects=8)


def test_a_table_or_row_that_is_not_there():
    with pytest.raises(UsageError, match="no table 10"):
        published_table(10)
    with pytest.raises(UsageError, match="HR fold 6"):
        published_counts(4, "HR fold 6")
