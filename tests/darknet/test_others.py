"""The same cfg, weights and images in three programs: ours, OpenCV's Darknet importer, and Debian's darknet."""

import os
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from cmb_toolkit.darknet.binary import BinaryEngine, find_darknet
from cmb_toolkit.darknet.cfg import Convolutional, read_cfg
from cmb_toolkit.darknet.project import set_net, write_project
from cmb_toolkit.darknet.region import decode
from cmb_toolkit.darknet.weights import Weights, write_weights
from cmb_toolkit.model import Box

CFGS = Path(__file__).parents[2] / "cfg"
DEBIAN = Path("/usr/bin/darknet")


def compare_with_opencv(cfg_path: Path, folder: Path, lively_weights) -> None:
    """Objectness and boxes of every cell and anchor, on random images."""
    from cmb_toolkit.darknet.network import detector

    cfg = read_cfg(cfg_path)
    weights = lively_weights(cfg, gain=8, spread=0.7)
    path = folder / "yolo.weights"
    write_weights(weights, path)
    assert path.stat().st_size == cfg.weights_bytes
    images = np.random.default_rng(1).integers(0, 256, (2, cfg.net.height, cfg.net.width, 3), dtype=np.uint8)
    ours, confidence = decode(detector(cfg, weights, 2)(images), cfg.region, cfg.net.width, cfg.net.height)
    net = cv2.dnn.readNetFromDarknet(str(cfg_path), str(path))
    for n, image in enumerate(images):
        net.setInput(cv2.dnn.blobFromImage(image, 1 / 255.0, (cfg.net.width, cfg.net.height), swapRB=False))
        theirs = net.forward()
        np.testing.assert_allclose(confidence[n], theirs[:, 4], atol=1e-3)
        size = np.array([cfg.net.width, cfg.net.height] * 2)
        centre, extent = (ours[n, :, :2] + ours[n, :, 2:]) / 2, ours[n, :, 2:] - ours[n, :, :2]
        relative = np.concatenate([centre, extent], axis=1) / size
        np.testing.assert_allclose(relative, theirs[:, :4], atol=1e-3)
    assert confidence.min() < 0.3  # boxes of all confidences, so that agreement means something
    assert confidence.max() > 0.7


def test_small_cfg_agrees_with_opencv(tmp_path, lively_weights):
    compare_with_opencv(CFGS / "small.cfg", tmp_path, lively_weights)


def test_toy_cfg_with_route_and_reorg_agrees_with_opencv(tmp_path, toy_cfg, lively_weights):
    path = tmp_path / "toy.cfg"
    path.write_text(toy_cfg)
    compare_with_opencv(path, tmp_path, lively_weights)


@pytest.mark.slow
def test_full_yolov2_agrees_with_opencv(tmp_path, lively_weights):
    path = CFGS / "yolov2-paper.cfg"
    cfg = read_cfg(path)
    assert sum(isinstance(layer, Convolutional) for layer in cfg.layers) == 23
    assert (cfg.floats, cfg.weights_bytes) == (50_578_686, 202_314_764)
    compare_with_opencv(path, tmp_path, lively_weights)


@pytest.mark.darknet
@pytest.mark.skipif(not os.access(DEBIAN, os.X_OK), reason="Debian's darknet is not installed")
@pytest.mark.parametrize("count", [1, 6])
def test_debian_finds_the_same_boxes(tmp_path, toy_cfg, lively_weights, count):
    """Debian's batch norm divides by sqrt(v) + 1e-6, ours by sqrt(v + 1e-5): hence the margins."""
    from cmb_toolkit.darknet.embedded import EmbeddedEngine

    side = 128
    project = noise_project(tmp_path, set_net(toy_cfg, {"width": side, "height": side}), count, side)
    cfg = read_cfg(project / "yolo.cfg")
    path = tmp_path / "yolo.weights"
    write_weights(fewer_boxes(lively_weights(cfg, seed=4)), path)
    images = (project / "slices.txt").read_text().split()
    settings = {"threshold": 0.005, "nms": 0.45, "on_progress": lambda done, total, what: None}
    theirs = BinaryEngine(find_darknet(DEBIAN)).detect(project, path, images, **settings)
    ours = EmbeddedEngine().detect(project, path, images, **settings)
    assert {d.image for d in theirs} == {Path(image).stem for image in images}
    for mine, others in ((ours, theirs), (theirs, ours)):
        # one at the threshold may be on either side of it; one within the last pixel is lost in Darknet's file
        strong = [d for d in mine if d.box.confidence > 0.01 and max(d.box.left, d.box.top) < side - 1]
        assert len(strong) >= 10 * count
        for d in strong:
            same = [o.box for o in others if o.image == d.image and abs(o.box.confidence - d.box.confidence) < 0.01]
            assert min(np.abs(edges(d.box, side) - edges(box, side)).max() for box in same) < 0.1


def noise_project(folder: Path, cfg: str, count: int, side: int) -> Path:
    random = np.random.default_rng(8)
    images = {}
    for k in range(count):
        path = folder / f"sub-001_slice-{k:03d}.png"
        cv2.imwrite(str(path), random.integers(0, 256, (side, side, 3), dtype=np.uint8))
        path.with_suffix(".txt").touch()
        images[path.stem] = path
    write_project(folder / "project", cfg=cfg, images=images, train=[], valid=[], slices=list(images))
    return folder / "project"


def fewer_boxes(weights: Weights) -> Weights:
    """The same with lower objectness (two anchors, one class): confidences from nearly 0 to nearly 1."""
    last = weights.layers[-1]
    biases = last.biases.copy()
    biases[[4, 10]] -= 4
    return replace(weights, layers=(*weights.layers[:-1], replace(last, biases=biases)))


def edges(box: Box, side: int) -> np.ndarray:
    """Darknet's results file ends at the last pixel's edge: a box at the right or lower border loses up to 1 px."""
    return np.array([box.left, box.top, min(box.right, side - 1), min(box.bottom, side - 1)])
