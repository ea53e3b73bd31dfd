import numpy as np
import pandas as pd

from cmb_toolkit.evaluation.rules import rule_named
from cmb_toolkit.evaluation.strata import natures, rim_voxels, strata


def test_what_lies_at_a_point():
    things = np.array([(0, 0, 0), (4, 0, 0), (40, 0, 0)], float)
    kinds = ["vein", "calcification", "flow void"]
    rim = np.array([(6, 0, 0), (20, 0, 0)], float)
    points = np.array([(1.9, 0, 0), (2.1, 0, 0), (0, 3, 0), (0, 3.01, 0), (22, 0, 0), (22.1, 0, 0), (38, 0, 0)], float)
    expected = ["vein", "calcification", "vein", "other", "edge", "other", "flow void"]
    assert natures(points, things, kinds, rim).tolist() == expected
    # what is listed comes before the rim
    assert natures(np.array([(5.5, 0, 0)]), things, kinds, rim).tolist() == ["calcification"]


def test_with_nothing_listed():
    nowhere = np.zeros((0, 3))
    assert natures(np.zeros((2, 3)), nowhere, [], nowhere).tolist() == ["other", "other"]
    assert natures(nowhere, np.zeros((1, 3)), ["vein"], nowhere).tolist() == []


def test_the_rim_is_where_the_mask_ends_and_not_where_the_volume_does():
    mask = np.zeros((7, 7, 4), bool)
    mask[1:6, 1:6] = True
    rim = {tuple(voxel) for voxel in rim_voxels(mask).tolist()}
    assert rim == {(i, j, k) for i in range(1, 6) for j in range(1, 6) for k in range(4) if {i, j} & {1, 5}}
    assert len(rim_voxels(np.ones((3, 3, 3), bool))) == 0


MARKS = pd.DataFrame(
    {
        "participant_id": ["a", "a", "a", "b", "x"],
        "diameter_mm": [1.9, 2.0, 5.0, np.nan, 2.0],
        "region": ["lobar", "deep", "lobar", "lobar", "lobar"],
        "contrast": [np.nan] * 5,
        "centre_stage1": ["c1", None, "c2", "c3", "c4"],
        "centre_overall": [None, None, "c2", None, "c4"],
    }
)
FOUND = pd.DataFrame(
    {
        "participant_id": ["a", "a", "b", "h", "x"],
        "nature": ["vein", "vein", "edge", "edge", "vein"],
        "centre_stage1": ["fp", "tp", "fp", "fp", "fp"],
        "centre_overall": [None, "tp", "fp", "fp", "fp"],
    }
)


def test_counts_by_stratum():
    table = strata(FOUND, MARKS, {"test": ["a", "b"], "control": ["h"]}, [rule_named("centre")])
    assert (table["rule"] == "centre").all()
    lines = {
        (line.role, line.stage, line.by, line.stratum): (line.microbleeds, line.found)
        for line in table[table["by"] != "nature"].itertuples()
    }
    assert lines == {
        ("test", "stage1", "diameter_mm", "<2"): (1, 1),
        ("test", "stage1", "diameter_mm", "2-3"): (1, 0),  # a limit belongs to the upper stratum
        ("test", "stage1", "diameter_mm", ">=5"): (1, 1),
        ("test", "stage1", "region", "deep"): (1, 0),
        ("test", "stage1", "region", "lobar"): (3, 3),
        ("test", "overall", "diameter_mm", "<2"): (1, 0),
        ("test", "overall", "diameter_mm", "2-3"): (1, 0),
        ("test", "overall", "diameter_mm", ">=5"): (1, 1),
        ("test", "overall", "region", "deep"): (1, 0),
        ("test", "overall", "region", "lobar"): (3, 1),
    }
    false = {
        (line.role, line.stage, line.stratum): line.false_positives
        for line in table[table["by"] == "nature"].itertuples()
    }
    assert false == {
        ("test", "stage1", "vein"): 1,
        ("test", "stage1", "edge"): 1,
        ("test", "overall", "edge"): 1,
        ("control", "stage1", "edge"): 1,
        ("control", "overall", "edge"): 1,
    }


def test_a_truth_that_knows_only_places_has_no_strata():
    table = strata(
        FOUND.drop(columns="nature"),
        MARKS[["participant_id", "centre_stage1", "centre_overall"]],
        {"test": ["a"]},
        [rule_named("centre")],
    )
    assert table.empty
    assert list(table.columns)[3:] == ["by", "stratum", "microbleeds", "found", "false_positives"]
