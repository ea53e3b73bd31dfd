import pytest

from cmb_toolkit.errors import UsageError
from cmb_toolkit.model import Counts
from cmb_toolkit.paper import published
from cmb_toolkit.paper import slips as slips_of_the_paper
from cmb_toolkit.paper.audit import audit
from cmb_toolkit.paper.published import TABLES, published_counts, published_table

SLIPS = {
    ("section 3.2: LR microbleeds", "Section 3.2, LR", "472", "572"),
    ("table 4: LR FPavg", "Table 4, LR total", "155.50", "158.91"),
    ("table 4: LR FPavg", "Table 9, LR YOLO stage 1", "155.5", "158.9"),  # repeated from table 4
    ("table 7: LR FPavg", "Table 7, LR", "2.14", "3.75"),
    ("table 9: LR overall sensitivity", "Table 9, LR YOLO stage 2", "72.78", "72.38"),
    ("table 9: Dou's overall sensitivity", "Table 9, dou stage 2", "91.45", "93.16"),
    ("table 3: weighted average", "Table 3, HR+LR", "91.62", "86.59"),
    ("table 3: weighted average", "Table 3, HR+LR", "479.17", "431.29"),
}


def test_the_paper_agrees_with_its_own_counts_but_for_six_slips():
    checks = audit()
    slips = checks[checks["verdict"] == "slip"]
    assert {tuple(row) for row in slips[["slip", "where", "printed", "recomputed"]].to_numpy()} == SLIPS
    assert set(slips["slip"]) == set(slips_of_the_paper.SLIPS)
    assert len(slips_of_the_paper.SLIPS) == 6
    assert (checks.loc[checks["verdict"] != "slip", "slip"] == "").all()
    # one unit in the last digit, by the paper's own rounding
    assert sorted(checks["printed"][checks["verdict"] == "rounding"]) == ["50.80", "56.44", "64.35", "80.06"]


COMPUTED = {
    "sensitivity_percent": "sensitivity",
    "precision_percent": "precision",
    "f1_percent": "F1",
    "specificity_percent": "specificity",
    "fp_per_subject": "FPavg",
    "stage1_fp_per_subject": "FPavg, stage 1",
    "stage2_fp_per_subject": "FPavg, stage 2",
    "overall_sensitivity_percent": "overall sensitivity",
}
OTHERS = ("dou", "liu", "chen", "kuijf", "wang", "hong")  # whose counts the paper does not give


def test_every_value_that_the_paper_computed_is_recomputed_once():
    checks = audit()
    done = checks[["where", "quantity", "printed"]].apply(tuple, axis=1)
    expected = set()
    for number in range(2, 10):
        for row, line in published_table(number).iterrows():
            if row.startswith(OTHERS):
                continue
            for column, quantity in COMPUTED.items():
                # the overall sensitivity is one cell beside the rows of both stages
                if line.get(column, "n/a") != "n/a" and not (quantity.startswith("overall") and row.endswith("1")):
                    expected.add((f"Table {number}, {row}", quantity, line[column]))
    assert len(expected) == 126
    assert len(checks) == 178  # docs/evaluation.md says so
    assert expected <= set(done)
    assert done.is_unique


def test_a_slip_that_nobody_knows_of_would_be_seen(monkeypatch):
    table = published.read_published("table-5.tsv").copy()
    table.loc[table["row"] == "HR total", "precision_percent"] = "66.94"
    read = published.read_published
    monkeypatch.setattr(published, "read_published", lambda name: table if name == "table-5.tsv" else read(name))
    found = audit().set_index("where").loc["Table 5, HR total"]
    assert found.loc[found["verdict"] == "slip", ["printed", "recomputed", "slip"]].to_numpy().tolist() == [
        ["66.94", "61.94", "new"]
    ]


def test_every_table_is_checked():
    where = set(audit()["where"].str.extract(r"Table (\d)")[0].dropna().astype(int))
    assert where == set(TABLES)


def test_slips_are_noted_beside_the_printed_value():
    noted = {n for n in TABLES if published_table(n)["note"].str.startswith("slip:").any()}
    assert noted == {3, 4, 7, 9}
    assert published_table(4).at["LR total", "fp_per_subject"] == "155.50"
    assert published_table(7).at["LR", "stage2_fp_per_subject"] == "2.14"


def test_one_set_of_counts_and_its_double_fit_dous_row():
    """Up to 100 test subjects with 400 microbleeds: what the audit says of the overall sensitivity."""

    def rounded(share):
        return round(share + 1e-9, 2)

    fitting = [
        (subjects, false, kept, marked)
        for subjects in range(1, 101)
        for false in range(int(2.73 * subjects), int(2.75 * subjects) + 2)
        if rounded(false / subjects) == 2.74
        for kept in (n for n in range(1, 401) if rounded(100 * n / (n + false)) == 44.31)
        for marked in range(kept, 401)
        if rounded(100 * kept / marked) == 93.16
        and any(rounded(100 * seen / marked) == 98.29 for seen in range(kept, marked + 1))
    ]
    assert fitting == [(50, 137, 109, 117), (100, 274, 218, 234)]


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
