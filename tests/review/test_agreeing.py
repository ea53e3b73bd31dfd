"""What readers agree on, and how well."""

from collections import Counter

import numpy as np
import pandas as pd
import pytest

from cmb_toolkit.review.agreeing import agreed, cohen, fleiss, last_words, majority, microbleeds, scans_reviewed

KNOWN = pd.DataFrame(
    {"participant_id": "sub-01", "id": [1, 2], "x_mm": [0.0, 10.0], "y_mm": 0.0, "z_mm": 0.0, "added": "no"}
)


def word(number, reader, verdict, x=0.0, added="no", mimic=None, moved=0.0):
    place = {"x_mm": x, "y_mm": 0.0, "z_mm": 0.0, "moved_mm": moved}
    return {"participant_id": "sub-01", "id": number, "reader": reader, "verdict": verdict, **place} | {
        "added": added,
        "mimic": mimic,
    }


def test_more_than_half_decide_and_ties_are_unsure():
    assert majority(Counter(yes=2, no=1)) == "yes"
    assert majority(Counter(yes=1, no=1)) == "unsure"
    assert majority(Counter(yes=1, unsure=1)) == "unsure"
    assert majority(Counter(no=2, yes=1, unsure=1)) == "unsure"


def test_the_last_word_of_a_reader_counts_once():
    first = pd.DataFrame([word(1, "a", "yes"), word(1, "b", "no")])
    second = pd.DataFrame([word(1, "a", "no", mimic="vein")])
    table = agreed(KNOWN, last_words([first, second]))
    assert table.loc[0, ["verdict", "yes", "no", "mimic"]].tolist() == ["no", 0, 2, "vein"]
    assert pd.isna(table.loc[1, "verdict"])
    assert scans_reviewed(["sub-01"], table, first)["reviewed"].tolist() == ["no"]


def test_what_one_of_two_adds_is_unsure_and_what_two_of_three_add_is_a_microbleed():
    rows = [word(1, "a", "yes"), word(1, "b", "yes"), word(3, "a", "yes", 50.0, "yes")]
    two = agreed(KNOWN, last_words([pd.DataFrame(rows)]))
    assert two["verdict"].tolist()[2] == "unsure"
    rows += [word(1, "c", "yes"), word(3, "c", "yes", 52.0, "yes")]
    three = agreed(KNOWN, last_words([pd.DataFrame(rows)]))
    assert three.loc[2, ["verdict", "yes", "no", "x_mm"]].tolist() == ["yes", 2, 1, 51.0]


def test_two_findings_on_one_lesion_are_one_microbleed():
    known = pd.concat([KNOWN, KNOWN.assign(id=[3, 4], x_mm=[2.5, 4.0])], ignore_index=True)
    table = agreed(known, pd.DataFrame([word(n, "a", "yes") for n in (1, 2, 3, 4)]))
    assert microbleeds(table)["id"].tolist() == [1, 2, 4]


def test_a_finding_moves_where_most_of_those_who_take_it_for_one_put_it():
    rows = [word(2, "a", "yes", 15.0, moved=5.0), word(2, "b", "yes", 17.0, moved=7.0), word(2, "c", "yes", 10.0)]
    assert agreed(KNOWN, pd.DataFrame(rows)).loc[1, "x_mm"] == 16.0
    assert agreed(KNOWN, pd.DataFrame(rows[1:])).loc[1, "x_mm"] == 10.0


def test_kappas_are_those_of_the_books():
    # Fleiss 1971's formula on the example that encyclopaedias print: 14 readers, 10 things, 5 words
    votes = np.array(
        [
            [0, 0, 0, 0, 14], [0, 2, 6, 4, 2], [0, 0, 3, 5, 6], [0, 3, 9, 2, 0], [2, 2, 8, 1, 1],
            [7, 7, 0, 0, 0], [3, 2, 6, 3, 0], [2, 5, 3, 2, 2], [6, 5, 2, 1, 0], [0, 2, 2, 3, 7],
        ]
    )  # fmt: skip
    assert fleiss(votes) == pytest.approx(0.210, abs=5e-4)
    one = ["yes"] * 25 + ["no"] * 25
    other = ["yes"] * 20 + ["no"] * 5 + ["yes"] * 10 + ["no"] * 15
    assert cohen(one, other) == pytest.approx(0.4)
    assert np.isnan(cohen(["yes"], ["yes"]))
