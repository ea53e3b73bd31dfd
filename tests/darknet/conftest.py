"""A small network and a small project of dark spots on noise, quick enough to train in a test."""

from __future__ import annotations

import os
import stat
import sys
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
import pytest
from tiny_network import LAYERS

from cmb_toolkit.darknet.binary import BinaryEngine
from cmb_toolkit.darknet.cfg import Cfg, read_cfg
from cmb_toolkit.darknet.find import probe
from cmb_toolkit.darknet.images import Images, in_files
from cmb_toolkit.darknet.project import CFG, TRAIN_LIST, read_list, write_project
from cmb_toolkit.darknet.weights import ConvWeights, Weights, initial_weights

# Small networks gain nothing from threads, and those of several test processes would only wait for each other.
os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "1")
os.environ.setdefault("TF_NUM_INTEROP_THREADS", "1")

FAKE = Path(__file__).with_name("fake_darknet.py")

TOY_CFG = (
    """
[net]
width=64
height=64
channels=3
batch=4
subdivisions=1
adam=1
learning_rate=0.01
momentum=0.9
decay=0.0005
burn_in=5
max_batches=6
policy=constant
flip=0

"""
    + LAYERS
    + """[region]
anchors=1.2,1.2,2.5,2.5
num=2
classes=1
softmax=1
bias_match=1
jitter=0
object_scale=5
thresh=.6
"""
)


@pytest.fixture
def toy_cfg() -> str:
    return TOY_CFG


@pytest.fixture
def toy_project(tmp_path: Path):
    """A function that writes a project of `count` images with zero to two dark spots each."""

    def make(cfg: str = TOY_CFG, count: int = 12, side: int = 64, seed: int = 0) -> Path:
        random = np.random.default_rng(seed)
        source = tmp_path / "source"
        source.mkdir()
        images = {}
        rows, columns = np.mgrid[:side, :side] + 0.5
        for k in range(count):
            image = random.normal(150, 8, (side, side))
            lines = []
            for _ in range(k % 3):
                x, y = random.uniform(8, side - 8, 2)
                image -= 120 * np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / (2 * 2.0**2))
                lines.append(f"0 {x / side:.6f} {y / side:.6f} {10 / side:.6f} {10 / side:.6f}\n")
            stem = f"sub-001_slice-{k:03d}"
            coloured = np.repeat(np.clip(image, 0, 255)[..., None], 3, axis=2) * [0.9, 1.0, 0.8]
            cv2.imwrite(str(source / f"{stem}.png"), coloured.astype(np.uint8))
            (source / f"{stem}.txt").write_text("".join(lines))
            images[stem] = source / f"{stem}.png"
        project = tmp_path / "project"
        write_project(project, cfg=cfg, images=images)
        return project

    return make


@pytest.fixture(scope="session")
def pictures():
    """A function that gives the images of a project to look at, or those of some lines of its list."""

    def make(project: Path, lines: list[str] | None = None) -> Images:
        chosen = read_list(project / TRAIN_LIST) if lines is None else lines
        return in_files([project / line for line in chosen], read_cfg(project / CFG))

    return make


@pytest.fixture(scope="session")
def lively_weights():
    """A function that gives random weights with which a network finds boxes of all confidences.

    Batch norm's statistics are those of random images, so that the numbers stay of order one through any depth.
    `spread` scales the logits. A `gain` above 1 scales the other kernels, and so the variances: the epsilon that
    each program adds to them differs from one to the other, and its effect grows with depth. The same call gives the
    same object, which is not to be changed.
    """

    @lru_cache(maxsize=8)
    def make(cfg: Cfg, seed: int = 0, spread: float = 2.0, gain: float = 1.0) -> Weights:
        from cmb_toolkit.darknet.batch_norm import BN_MOMENTUM
        from cmb_toolkit.darknet.network import Network

        random = np.random.default_rng(seed)
        first = initial_weights(cfg, seed)
        layers = []
        for layer in first.layers:
            biases = random.normal(0, 0.3, layer.biases.shape).astype(np.float32)
            if layer.scales is None:
                layers.append(replace(layer, biases=biases, weights=layer.weights * np.float32(spread)))
            else:
                scales = random.uniform(0.6, 1.6, biases.shape).astype(np.float32)
                layers.append(replace(layer, biases=biases, scales=scales, weights=layer.weights * np.float32(gain)))
        network = Network(cfg, Weights(tuple(layers)))
        images = random.uniform(0, 1, (2, cfg.net.height, cfg.net.width, 3)).astype(np.float32)
        network.model()(images, training=True)
        share = np.float32(1 - BN_MOMENTUM)  # of the statistics after one minibatch, from zero
        settled: list[ConvWeights] = []
        for layer in network.get_weights().layers:
            if layer.mean is None or layer.variance is None:
                settled.append(layer)
            else:
                settled.append(replace(layer, mean=layer.mean / share, variance=layer.variance / share))
        return Weights(tuple(settled), seen=123)

    return make


@pytest.fixture
def fake(tmp_path, monkeypatch):
    """A function that makes a Darknet that trains by counting, and fails as it is told to."""

    def make(told: str = "", **engine) -> BinaryEngine:
        monkeypatch.setenv("FAKE_DARKNET", told)
        path = tmp_path / "darknet"
        path.write_text(f"#!{sys.executable}\n{FAKE.read_text()}")
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
        return BinaryEngine(probe(path), **engine)

    return make
