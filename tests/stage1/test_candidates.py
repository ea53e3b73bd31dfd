import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cmb_toolkit.imaging.frame import make_frame
from cmb_toolkit.stage1.candidates import COLUMNS, candidate_table, merge_slices
from cmb_toolkit.stage1.label_boxes import microbleed_boxes

AFFINE = np.array([[0.5, 0, 0, -112], [0, 0.5, 0.1, -128], [0, -0.1, 2, -70], [0, 0, 0, 1.0]])


def detections(rows):
    names = ["participant_id", "role", "k", "left", "top", "right", "bottom", "confidence"]
    return pd.DataFrame(rows, columns=names)


@pytest.mark.parametrize("shape", [(448, 512), (252, 288), (51, 51)])
def test_a_box_goes_back_to_its_voxel_and_world(shape):
    frame = make_frame(shape)
    i, j, k = 20, 45, 9
    (box,) = microbleed_boxes(frame, [(i, j)])
    table = candidate_table(detections([("sub-1", "test", k, *box, 0.5)]), {"sub-1": frame}, {"sub-1": AFFINE})
    row = table.iloc[0]
    assert (row["i"], row["j"], row["k"]) == (pytest.approx(i), pytest.approx(j), k)
    assert np.allclose([row["x_mm"], row["y_mm"], row["z_mm"]], (AFFINE @ [i, j, k, 1])[:3])


def test_each_subject_has_its_own_frame_and_is_numbered_strongest_first():
    frames = {"sub-1": make_frame((448, 512)), "sub-2": make_frame((252, 288))}
    affines = {"sub-1": AFFINE, "sub-2": AFFINE}
    box = (100.0, 100.0, 120.0, 120.0)
    rows = [("sub-2", "test", 3, *box, 0.1), ("sub-1", "train", 3, *box, 0.2), ("sub-2", "test", 7, *box, 0.9)]
    table = candidate_table(detections(rows), frames, affines)
    assert list(table.columns) == list(COLUMNS)
    assert table["candidate_id"].tolist() == ["sub-1_cand-0001", "sub-2_cand-0001", "sub-2_cand-0002"]
    assert table["k"].tolist() == [3, 7, 3]
    assert table["i"][0] != pytest.approx(table["i"][1])


def test_no_detections_are_no_candidates():
    table = candidate_table(detections([]), {}, {}, merge_mm=3)
    assert list(table.columns) == list(COLUMNS)
    assert table.empty


def test_merging_leaves_the_strongest_of_neighbouring_slices():
    frame = make_frame((448, 512))
    rows = [("sub-1", "test", k, 100.0, 100.0, 120.0, 120.0, c) for k, c in ((4, 0.3), (5, 0.8), (6, 0.4), (20, 0.1))]
    straight = np.diag([0.5, 0.5, 2, 1.0])
    table = candidate_table(detections(rows), {"sub-1": frame}, {"sub-1": straight}, merge_mm=2.5)
    assert table["k"].tolist() == [5, 20]
    assert table["candidate_id"].tolist() == ["sub-1_cand-0001", "sub-1_cand-0002"]
    assert len(candidate_table(detections(rows), {"sub-1": frame}, {"sub-1": straight})) == 4


points = st.lists(
    st.tuples(
        st.sampled_from(["sub-1", "sub-2"]),
        st.integers(0, 12),
        st.integers(0, 12),
        st.integers(0, 3),
        st.sampled_from([0.1, 0.2, 0.3, 0.4, 0.5]),
    ),
    max_size=30,
)


@given(points, st.floats(0.5, 6))
@settings(max_examples=100)
def test_merging_is_greedy_and_complete(rows, distance):
    table = pd.DataFrame(rows, columns=["participant_id", "x_mm", "y_mm", "z_mm", "confidence"])
    places = table[["x_mm", "y_mm", "z_mm"]].to_numpy(float)
    kept: list[int] = []  # the definition, word by word
    for n in sorted(range(len(table)), key=lambda n: -table["confidence"][n]):
        if not any(
            table["participant_id"][m] == table["participant_id"][n]
            and np.linalg.norm(places[m] - places[n]) <= distance
            for m in kept
        ):
            kept.append(n)
    wanted = table.loc[sorted(kept)].reset_index(drop=True)
    pd.testing.assert_frame_equal(merge_slices(table, distance), wanted, check_dtype=False)
