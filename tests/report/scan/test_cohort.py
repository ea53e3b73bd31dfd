"""The page on a cohort."""

import re

import pytest

from cmb_toolkit.report.scan.cohort import CohortRow, cohort_page

EVIL = "<script>alert(1)</script>\"'&{{ 7 * 7 }}"
DONE = {"light": "green", "brain_ml": 1400.0, "slices": 72, "voxels": "0.5 x 0.5 x 2 mm"}


def rows():
    return [
        CohortRow("sub-2", findings=3, candidates=30, best=0.97, link="sub-2/report.html", **DONE),
        CohortRow("sub-10", findings=0, candidates=12, best=0.2, link="sub 10/report.html", **DONE),
        CohortRow("sub-1", **(DONE | {"light": "amber", "brain_ml": 1200.0}), reasons=("Slices of 3 mm.", "No sign.")),
        CohortRow("sub-3", failed="phase.nii.gz has another grid"),
    ]


def cells(text):
    body = text[text.index("<tbody>") :]
    plain = [re.sub(r"<[^>]*>", " ", row) for row in re.findall(r"(?s)<tr>.*?</tr>", body)]
    return [" ".join(row.split()) for row in plain]


def test_a_row_a_scan():
    assert cells(cohort_page(rows())) == [
        "sub-2 within 3 0.97 30 1400 72 0.5 x 0.5 x 2 mm",
        "sub-10 within 0 0.20 12 1400 72 0.5 x 0.5 x 2 mm",
        "sub-1 outside 0 – 0 1200 72 0.5 x 0.5 x 2 mm Slices of 3 mm. No sign.",
        "sub-3 failed phase.nii.gz has another grid",
    ]


def test_what_could_not_be_done_is_in_no_distribution():
    text = cohort_page(rows())
    assert "4 scans, 3 findings" in text
    assert 'aria-label="Findings a scan: 2, 0, 1, 0, 0"' in text
    assert "median 1400 ml" in text


def test_links_lead_to_pages_below_only():
    assert re.findall(r'<a href="([^"]*)"', cohort_page(rows())) == ["sub-2/report.html", "sub%2010/report.html"]


@pytest.mark.parametrize("link", ["javascript:alert(1)", "/etc/passwd", "//host/x", "../x.html", "a/../../x", "a\\b"])
def test_other_links_are_left_out(link):
    assert "<a href" not in cohort_page([CohortRow("sub-1", link=link, **DONE)])


def test_whatever_text_is_given_is_text():
    text = cohort_page([CohortRow(EVIL, reasons=(EVIL,), voxels=EVIL, light="red"), CohortRow(EVIL, failed=EVIL)])
    assert text.count("<script") == 1
    assert "{{ 7 * 7 }}" in text


def test_no_scan_and_one_scan_have_pages():
    assert "No scan." in cohort_page([])
    assert "1 scan, 1 finding<" in cohort_page([CohortRow("sub-1", findings=1, **DONE)])
    assert "not known" in cohort_page([CohortRow("sub-1", light="green")])
    assert cohort_page(rows()) == cohort_page(rows())
