import numpy as np
import pandas as pd
import pytest

from cmb_toolkit.imaging.frame import make_frame
from cmb_toolkit.schema import CANDIDATES
from cmb_toolkit.stage1.candidates import candidate_table, place_boxes
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
    table = candidate_table(
        place_boxes(detections([("sub-1", "test", k, *box, 0.5)]), {"sub-1": frame}, {"sub-1": AFFINE})
    )
    row = table.iloc[0]
    assert (row["i"], row["j"], row["k"]) == (pytest.approx(i), pytest.approx(j), k)
    assert np.allclose([row["x_mm"], row["y_mm"], row["z_mm"]], (AFFINE @ [i, j, k, 1])[:3])


def test_each_subject_has_its_own_frame_and_is_numbered_strongest_first():
    frames = {"sub-1": make_frame((448, 512)), "sub-2": make_frame((252, 288))}
    affines = {"sub-1": AFFINE, "sub-2": AFFINE}
    box = (100.0, 100.0, 120.0, 120.0)
    rows = [("sub-2", "test", 3, *box, 0.1), ("sub-1", "train", 3, *box, 0.2), ("sub-2", "test", 7, *box, 0.9)]
    table = candidate_table(place_boxes(detections(rows), frames, affines))
    assert list(table.columns) == CANDIDATES.names
    assert table["candidate_id"].tolist() == ["sub-1_cand-0001", "sub-2_cand-0001", "sub-2_cand-0002"]
    assert table["k"].tolist() == [3, 7, 3]
    assert table["i"][0] != pytest.approx(table["i"][1])


@pytest.mark.parametrize("by_lesion", [False, True])
def test_no_detections_are_no_candidates(by_lesion):
    table = candidate_table(place_boxes(detections([]), {}, {}, by_lesion=by_lesion))
    assert list(table.columns) == CANDIDATES.names
    assert table.empty


def test_every_box_is_a_candidate_unless_lesions_are_asked_for():
    frame = make_frame((448, 512))
    rows = [("sub-1", "test", k, 100.0, 100.0, 120.0, 120.0, c) for k, c in ((4, 0.3), (5, 0.8), (6, 0.4), (20, 0.1))]
    straight = {"sub-1": np.diag([0.5, 0.5, 2, 1.0])}
    boxes = place_boxes(detections(rows), {"sub-1": frame}, straight)
    table = candidate_table(boxes)
    assert table["k"].tolist() == boxes["k"].tolist() == [5, 6, 4, 20]
    assert table["candidate_id"].tolist() == [f"sub-1_cand-000{n}" for n in (1, 2, 3, 4)]
    assert (table["boxes"] == 1).all()
    boxes = place_boxes(detections(rows), {"sub-1": frame}, straight, by_lesion=True)
    assert boxes["candidate_id"].tolist() == [f"sub-1_cand-000{n}" for n in (1, 1, 1, 2)]
    table = candidate_table(boxes)
    assert table[["k", "boxes", "first_k", "last_k", "confidence"]].to_numpy().tolist() == [
        [5, 3, 4, 6, 0.8],
        [20, 1, 20, 20, 0.1],
    ]
