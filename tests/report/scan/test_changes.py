"""What the page says of an earlier scan."""

import html
import re
from dataclasses import replace

import numpy as np
import pandas as pd
from toy_scan import SPOTS, affine, scan

from cmb_toolkit.report.scan.content import Changes
from cmb_toolkit.report.scan.page import scan_page
from cmb_toolkit.schema import GONE

NUMBERS = {"new": 1, "unchanged": 1, "unseen": 0, "gone": 1, "unseen now": 0}


def text_of(page):
    """What a reader sees, in one line."""
    without = re.sub(r"(?s)<(script|style).*?</\1>", "", page)
    return " ".join(html.unescape(re.sub("<[^>]*>", " ", without)).split())


def changed(doubt="", note=""):
    page = scan()
    gone = pd.DataFrame([(7, "gone", *(affine() @ [*SPOTS[2], 1])[:3], 3.2, 0.8, np.nan)], columns=GONE.names)
    change = {"change": ["unchanged", "new"], "earlier_id": [4, pd.NA], "earlier_probability": [0.9, 0.31]}
    return replace(page, lesions=page.lesions.assign(**change), changes=Changes(doubt, note, 0.98, NUMBERS, gone))


def test_findings_that_are_new_and_unchanged_and_gone_ones_are_listed():
    text = text_of(scan_page(changed(note="the <other> Model 2")))
    assert text.count("1 new, 1 unchanged, 1 gone") == 2
    assert "unchanged (then 4)" in text
    assert "new (then a near miss, 0.31)" in text
    x, y, z = (affine() @ [*SPOTS[2], 1])[:3]
    assert f"7 gone {int(SPOTS[2][2]) + 1} {x:.1f}, {y:.1f}, {z:.1f} 3.2 mm 0.80 –" in text
    assert "The <other> Model 2." in text


def test_why_it_is_not_known_is_said_and_nothing_else():
    text = text_of(scan_page(changed(doubt="the scans are too little alike")))
    assert "not known what has changed: the scans are too little alike." in text
    assert "1 gone" not in text


def test_without_an_earlier_scan_the_page_does_not_speak_of_one():
    assert "earlier" not in text_of(scan_page(scan()))
