"""A model by hand: a detector of dark spots in one convolution, and a 3D-CNN that has learned nothing."""

from pathlib import Path

import numpy as np

from cmb_toolkit.bundle.card import card
from cmb_toolkit.bundle.content import (
    CLASSIFIER,
    DETECTOR,
    LAYERS,
    SCHEMA,
    Calibration,
    Content,
    Grid,
    Learned,
    Look,
    OnImages,
    Point,
)
from cmb_toolkit.bundle.files import CARD, write
from cmb_toolkit.darknet.weights import ConvWeights, Weights, write_weights


def content(**changed):
    """Of scans as the protocol tiny has them."""
    points = {
        "sensitive": Point(0.1, 2.0, (0.9, 0.8, 1.0), (1.5, 1.0, 2.0), 1.0),
        "balanced": Point(0.2, 0.5, (0.8, 0.7, 0.9), (0.5, 0.2, 0.9)),
        "specific": Point(0.9, 0.125),
    }
    images = OnImages("swi", 128, "auto", "paper", "black", 0.45)
    look = Look("yolo", images, None, "fixed", "both", 0.02, {"brain_mask": "none"})
    learned = Learned("simulated", 10, 11, 40, 3, 9, 5, 2, ("ab" * 32,), (20.0, 20.0), (24, 24))
    known = {
        "schema": SCHEMA,
        "name": "ours",
        "version": "2",
        "licence": "CC0",
        "author": "",
        "contact": "",
        "doi": "",
        "toolkit": {"cmb_toolkit": "0", "commit": None},
        "look": look,
        "grids": (Grid((1.8, 1.8, 3.0), (112, 128), 11),),
        "detector": None,
        "classifier": None,
        "points": points,
        "calibration": Calibration(0.7, -1.0, 100),
        "learned": learned,
    }
    return Content(**(known | changed))


LAYERS_OF_SPOTS = """[net]
batch=1
subdivisions=1
width={size}
height={size}
channels=3
max_batches=1
policy=constant
learning_rate=0.001
momentum=0.9
decay=0.0005

[convolutional]
filters=1
size=9
stride=1
pad=1
activation=leaky

[maxpool]
size=2
stride=2

[convolutional]
filters=6
size=1
stride=1
pad=1
activation=linear

[region]
anchors=10,10
classes=1
coords=4
num=1
softmax=1
bias_match=1
"""


def spots(size):
    """Layers and weights of a detector that answers to what is darker in the middle than in the ring around."""
    away = np.hypot(*np.meshgrid(np.arange(9) - 4, np.arange(9) - 4))
    kernel = np.where(away <= 1.5, -1 / (away <= 1.5).sum(), np.where(away > 3, 1 / (away > 3).sum(), 0.0))
    first = ConvWeights(np.zeros(1, np.float32), np.stack([kernel, 0 * kernel, 0 * kernel])[None].astype(np.float32))
    last = np.zeros((6, 1, 1, 1), np.float32)
    last[4] = 30.0  # the confidence
    biases = np.array([0.3, 0.2, 0, 0, -10, 0], np.float32)  # no centre half-way between two voxels
    return LAYERS_OF_SPOTS.format(size=size), Weights((first, ConvWeights(biases, last)))


def model(folder: Path, *, sample=False, **changed):
    """A folder with a model, perhaps with the sample that it can be tried on."""
    from cmb_toolkit.stage2 import networks

    scratch = folder.parent / "parts"
    scratch.mkdir()
    said = content(**changed)
    layers, weights = spots(said.look.images.size)
    write_weights(weights, scratch / DETECTOR)
    networks.save(networks.build("small", 0, 16), scratch / CLASSIFIER)
    folder.mkdir()
    parts = {LAYERS: layers, DETECTOR: scratch / DETECTOR, CLASSIFIER: scratch / CLASSIFIER, CARD: card(said)}
    write(folder, said, parts)
    if sample:
        from cmb_toolkit.steps.model import _sample

        write(folder, said, {**parts, **_sample(folder, scratch)})
    return folder
