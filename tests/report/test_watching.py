"""The picture of a training: its loss and, where it was looked at, what it found."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.image import imread

from cmb_toolkit.report.watching import draw_training
from cmb_toolkit.schema import YOLO_WATCH

ORANGE = np.array([0xD5, 0x5E, 0x00]) / 255


@pytest.fixture
def history():
    n = np.arange(1, 101)
    return pd.DataFrame({"iteration": n, "loss": 10 / n, "avg_loss": 11 / n, "rate": 1e-3})


def looks(*found):
    rows = [
        (at, role, 3, 60, 20, n, n, n, 1.0, 0.5, True)
        for at, n in zip((50, 100), found, strict=False)
        for role in ("validation", "train")
    ]
    return pd.DataFrame(rows, columns=YOLO_WATCH.names)


def orange(path):
    return int((np.abs(imread(path)[..., :3] - ORANGE).max(axis=-1) < 0.02).sum())


def test_what_was_found_stands_under_the_loss(history, tmp_path):
    alone = imread(draw_training(history, looks(), "a cell", tmp_path / "alone.png"))
    both = imread(draw_training(history, looks(12, 18), "a cell", tmp_path / "both.png"))
    assert both.shape[1] == alone.shape[1]
    assert both.shape[0] > 1.5 * alone.shape[0]
    assert orange(tmp_path / "alone.png") == 0
    assert orange(tmp_path / "both.png") > 300


def test_one_look_and_looks_without_microbleeds(history, tmp_path):
    draw_training(history, looks(0), "a cell", tmp_path / "one.png")
    assert orange(tmp_path / "one.png") > 50
    draw_training(history, looks(0).assign(microbleeds=0), "a cell", tmp_path / "none.png")
    assert orange(tmp_path / "none.png") == 0
