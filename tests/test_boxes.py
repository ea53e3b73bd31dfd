"""Intersection over union and non-maximum suppression."""

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis.extra.numpy import arrays

from cmb_toolkit.boxes import iou, nms


@st.composite
def boxes(draw, most=12):
    n = draw(st.integers(0, most))
    corner = draw(arrays(float, (n, 2), elements=st.integers(0, 40)))
    size = draw(arrays(float, (n, 2), elements=st.integers(0, 20)))
    return np.concatenate([corner, corner + size], axis=1)


def by_pixels(a, b):
    """IoU of boxes with whole corners by counting pixels."""

    def pixels(box):
        left, top, right, bottom = map(int, box)
        return {(x, y) for x in range(left, right) for y in range(top, bottom)}

    p, q = pixels(a), pixels(b)
    return len(p & q) / len(p | q) if p | q else 0.0


@given(boxes(3), boxes(3))
@settings(max_examples=40)
def test_iou_counts_pixels(a, b):
    matrix = iou(a, b)
    assert matrix.shape == (len(a), len(b))
    for i, p in enumerate(a):
        for j, q in enumerate(b):
            assert matrix[i, j] == pytest.approx(by_pixels(p, q))


@given(boxes())
def test_iou_of_boxes_with_themselves(a):
    matrix = iou(a, a)
    np.testing.assert_allclose(matrix, matrix.T)
    area = np.prod(a[:, 2:] - a[:, :2], axis=1)
    np.testing.assert_allclose(np.diag(matrix), area > 0)


def test_iou_of_the_papers_squares():
    """Two 20 x 20 px squares have IoU above 0.8 up to 2.2 px apart along one axis, 1.1 px along both."""
    square = [0.0, 0.0, 20.0, 20.0]
    assert iou(square, [2.2, 0, 22.2, 20])[0, 0] > 0.8
    assert iou(square, [2.3, 0, 22.3, 20])[0, 0] < 0.8
    assert iou(square, [1.1, 1.1, 21.1, 21.1])[0, 0] > 0.8
    assert iou(square, [1.2, 1.2, 21.2, 21.2])[0, 0] < 0.8


@given(boxes(), st.data(), st.floats(0, 1))
@settings(max_examples=60)
def test_nms(rows, data, threshold):
    confidence = data.draw(arrays(float, len(rows), elements=st.floats(0, 1)))
    kept = nms(rows, confidence, threshold)
    assert len(set(kept)) == len(kept)
    assert (np.diff(confidence[kept]) <= 0).all(), "strongest first"
    among = iou(rows[kept], rows[kept])
    assert (among[~np.eye(len(kept), dtype=bool)] <= threshold).all(), "what is kept does not overlap"
    for lost in set(range(len(rows))) - set(kept.tolist()):
        over = iou(rows[kept], rows[[lost]])[:, 0] > threshold
        assert (over & (confidence[kept] >= confidence[lost])).any(), "what is lost overlaps a stronger one"


def test_nms_of_many_boxes_is_the_greedy_one():
    """More than are looked at at once."""
    random = np.random.default_rng(0)
    corner = random.uniform(0, 150, (900, 2))
    rows, confidence = np.concatenate([corner, corner + random.uniform(10, 25, (900, 2))], axis=1), random.random(900)
    among = iou(rows, rows)
    kept: list[int] = []
    for n in np.argsort(-confidence):
        if not any(among[n, other] > 0.3 for other in kept):
            kept.append(n)
    assert len(rows) - len(kept) > 256
    assert nms(rows, confidence, 0.3).tolist() == kept


def test_nms_of_equal_confidences_keeps_the_first():
    assert nms([[0, 0, 10, 10], [1, 0, 11, 10], [30, 0, 40, 10]], [0.5, 0.5, 0.5], 0.5).tolist() == [0, 2]


def test_nms_of_nothing():
    assert nms(np.empty((0, 4)), [], 0.5).tolist() == []


@given(boxes(), st.integers(1, 5))
@settings(max_examples=30)
def test_nms_that_stops_early_keeps_the_strongest_of_all(rows, most):
    confidence = np.linspace(0.9, 0.1, len(rows))
    assert nms(rows, confidence, 0.3, most).tolist() == nms(rows, confidence, 0.3).tolist()[:most]
