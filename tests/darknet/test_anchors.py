"""Anchors from labels, also against Darknet's own `calc_anchors`."""

import os
import re
import subprocess
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cmb_toolkit.darknet.anchors import anchors_from, mean_iou, set_anchors, sizes_in_cells
from cmb_toolkit.darknet.cfg import parse_cfg, read_cfg
from cmb_toolkit.darknet.project import set_net

CFGS = Path(__file__).parents[2] / "cfg"
ALEXEYAB = Path(os.environ.get("CMBTK_TEST_DARKNET", Path(__file__).parents[2] / "darknet" / "build" / "darknet"))


def clouds(seed: int = 0) -> np.ndarray:
    random = np.random.default_rng(seed)
    centres = np.array([[0.6, 0.6], [2.0, 1.0], [4.0, 5.0]])
    return np.concatenate([centre * random.normal(1, 0.05, (40, 2)) for centre in centres])


def test_clusters_are_found_smallest_first_and_alike_for_a_seed():
    found = anchors_from(clouds(), 3, seed=1)
    np.testing.assert_allclose(found, [[0.6, 0.6], [2.0, 1.0], [4.0, 5.0]], rtol=0.05)
    np.testing.assert_array_equal(found, anchors_from(clouds(), 3, seed=1))
    assert mean_iou(clouds(), found) > 0.9


def test_the_papers_labels_have_one_size_and_so_one_anchor():
    """20 px on a grid of 32 px cells."""
    text = set_net((CFGS / "yolov2-paper.cfg").read_text(), {})
    cfg = parse_cfg(text.replace("jitter=.3", "jitter=0").replace("random=1", "random=0"))
    assert (cfg.region.jitter, cfg.region.random) == (0, 0)
    sizes = sizes_in_cells(np.full((30, 2), 20.0), cfg, seed=0)
    found = anchors_from(sizes, 5, seed=0)
    np.testing.assert_allclose(found, [[0.625, 0.625]])
    assert mean_iou(sizes, found) == pytest.approx(1)
    assert mean_iou(sizes, cfg.region.anchors) < 0.2  # none of VOC's fits


def test_augmentation_spreads_the_sizes():
    cfg = read_cfg(CFGS / "yolov2-released.cfg")
    assert cfg.region.jitter > 0
    sizes = sizes_in_cells(np.full((10, 2), 20.0), cfg, seed=0)
    assert len(sizes) > 150
    assert sizes.min() < 0.5
    assert sizes.max() > 0.8
    found = anchors_from(sizes, 5, seed=0)
    assert len(found) == 5
    assert mean_iou(sizes, found) > mean_iou(sizes, cfg.region.anchors) + 0.3
    np.testing.assert_array_equal(sizes, sizes_in_cells(np.full((10, 2), 20.0), cfg, seed=0))


@given(st.integers(1, 6), st.integers(0, 100))
@settings(max_examples=30)
def test_more_anchors_never_fit_worse_than_one(count, seed):
    boxes = clouds(seed)
    assert mean_iou(boxes, anchors_from(boxes, count, seed)) >= mean_iou(boxes, anchors_from(boxes, 1, seed)) - 1e-9


def test_a_network_file_with_other_anchors():
    text = (CFGS / "yolov2-paper.cfg").read_text()
    changed = parse_cfg(set_anchors(text.replace("\n", "\r\n"), [[0.625, 0.625], [1.25, 0.5]]))
    assert changed.region.anchors == ((0.625, 0.625), (1.25, 0.5))
    assert changed.shapes[-1][0] == 12
    before = parse_cfg(text)
    assert changed.layers[:-2] == before.layers[:-2]
    assert changed.net == before.net


@pytest.mark.darknet
@pytest.mark.skipif(not os.access(ALEXEYAB, os.X_OK), reason="no AlexeyAB Darknet: run `make darknet`")
def test_no_worse_than_darknets_own(tmp_path):
    random = np.random.default_rng(3)
    sizes = np.clip(random.lognormal(0, 0.5, (120, 2)) * [1.5, 1.0], 0.2, 12)  # cells of a 14 x 14 grid
    (tmp_path / "in").mkdir()
    names = []
    for n, (width, height) in enumerate(sizes / 14):
        (tmp_path / "in" / f"{n}.txt").write_text(f"0 0.5 0.5 {width:.6f} {height:.6f}\n")
        names.append(f"in/{n}.png\n")
    (tmp_path / "train.txt").write_text("".join(names))
    (tmp_path / "x.data").write_text("classes=1\ntrain=train.txt\n")
    subprocess.run(
        [ALEXEYAB, "detector", "calc_anchors", "x.data", "-num_of_clusters", "5", "-width", "14", "-height", "14"],
        cwd=tmp_path, check=True, capture_output=True, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    theirs = np.array(re.findall(r"[\d.]+", (tmp_path / "anchors.txt").read_text()), float).reshape(-1, 2)
    assert len(theirs) == 5
    ours = anchors_from(sizes, 5, seed=0)
    assert mean_iou(sizes, ours) > mean_iou(sizes, theirs) - 0.005
