"""Regions on the page: pattern, counts, what is not known, the atlas on the scan."""

import html
import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from toy_scan import affine, scan

from cmb_toolkit.report.scan.page import scan_page
from cmb_toolkit.report.scan.regions import Placement, counts, pattern, unsure


def text_of(page):
    """What a reader sees, in one line."""
    without = re.sub(r"(?s)<(script|style).*?</\1>", "", page)
    return " ".join(html.unescape(re.sub("<[^>]*>", " ", without)).split())


def findings(*rows):
    """Findings from (region, group, side, diameter, next region or None)."""
    table = pd.DataFrame(rows, columns=["region", "group", "side", "diameter_mm", "next_region"])
    return table.assign(border=table["next_region"].notna())


LOBAR = ("frontal", "lobar", "left", 3.0, None)
DEEP = ("thalamus", "deep", "midline", 5.0, None)
BELOW = ("cerebellum", "infratentorial", "right", 12.0, None)
NOWHERE = (None, None, "left", np.nan, None)


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([], ""),
        ([LOBAR], "strictly lobar"),
        ([LOBAR, LOBAR, NOWHERE], "strictly lobar"),
        ([DEEP], "strictly deep"),
        ([BELOW], "strictly infratentorial"),
        ([DEEP, BELOW], "mixed"),
        ([LOBAR, BELOW], "mixed"),
        ([NOWHERE], ""),
    ],
)
def test_the_pattern(rows, said):
    assert pattern(findings(*rows)) == said


def test_what_could_be_another_group_is_said():
    near = ("insula", "lobar", "left", 3.0, "external capsule")
    same = ("frontal", "lobar", "left", 3.0, "insula")
    assert unsure(findings(near, same, NOWHERE)) == "1 within 3 mm of another group, 1 in no region"
    assert unsure(findings(LOBAR, same)) == ""


def test_every_finding_is_counted_once_in_its_region_and_once_in_its_group():
    table = counts(findings(LOBAR, LOBAR, DEEP, BELOW, NOWHERE))
    assert table.classes == ("< 5 mm", "5-10 mm", "other")
    rows = {row.name: row for row in table.rows}
    assert rows["frontal"].cells == rows["lobar"].cells == ((2, 0, 0), (0, 0, 0), (0, 0, 0))
    assert rows["thalamus"].cells == ((0, 0, 0), (0, 0, 1), (0, 0, 0))
    assert rows["cerebellum"].cells == ((0, 0, 0), (0, 0, 0), (0, 1, 0))
    assert rows["no region"].cells == ((0, 0, 0), (0, 0, 0), (1, 0, 0))
    assert sum(row.total for row in table.rows if row.is_group) == 5
    assert counts(findings(LOBAR)).classes == ("< 5 mm", "5-10 mm")


def located(page, *rows):
    columns = findings(*rows).drop(columns="diameter_mm")
    return replace(page, lesions=page.lesions.join(columns), placement=Placement("", 0.93, np.eye(4)))


def test_the_page_says_pattern_counts_and_each_finding_s_region():
    near = ("thalamus", "deep", "left", 3.0, "internal capsule")
    made = scan_page(located(scan(affine(at=(-27, -45, -20))), LOBAR, near))
    text = text_of(made)
    assert "1 lobar, 1 deep, 0 infratentorial: mixed" in text
    assert "left frontal" in text
    assert "left thalamus" in text
    assert "at the border of internal capsule" in text
    assert "0.93 of mutual information" in text
    assert text.count("The atlas on slice") == 3
    assert made.count('<table class="regions">') == 1


def test_the_page_says_why_regions_are_not_known():
    page = replace(scan(), placement=Placement("the scan shows <28 mm> of the brain"))
    made = scan_page(page)
    text = text_of(made)
    assert "<28 mm>" not in made
    assert "not known in which regions the findings lie: the scan shows <28 mm> of the brain." in text
    assert "lobar" not in text


def test_without_regions_the_page_does_not_speak_of_them():
    assert "egion" not in text_of(scan_page(scan()))
