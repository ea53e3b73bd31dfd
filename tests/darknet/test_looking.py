"""OpenVINO's network against Keras's, and what chooses between them."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from cmb_toolkit import device
from cmb_toolkit.darknet import looking as looking_module
from cmb_toolkit.darknet.cfg import parse_cfg, read_cfg
from cmb_toolkit.darknet.embedded import EmbeddedEngine
from cmb_toolkit.darknet.engine import engine_to_detect, engine_to_train
from cmb_toolkit.darknet.looking import Looking, looking
from cmb_toolkit.darknet.network import detector as in_keras
from cmb_toolkit.darknet.openvino_network import detector as in_openvino
from cmb_toolkit.darknet.openvino_network import precisions
from cmb_toolkit.darknet.weights import write_weights
from cmb_toolkit.device import computes_bf16
from cmb_toolkit.errors import UsageError

SMALL = Path(looking_module.__file__).parents[1] / "cfg" / "small.cfg"

EVERY_LAYER = """
[net]
width=192
height=96
channels=3
[convolutional]
batch_normalize=1
filters=8
size=3
stride=2
pad=1
activation=leaky
[maxpool]
size=3
stride=1
[convolutional]
filters=8
size=5
stride=1
padding=1
activation=linear
[maxpool]
size=2
stride=1
padding=2
[route]
layers=-2
[reorg]
stride=1
[route]
layers=-1,2
[convolutional]
batch_normalize=1
filters=16
size=2
stride=1
padding=1
activation=leaky
[maxpool]
size=3
stride=3
padding=1
[convolutional]
filters=12
size=1
stride=1
activation=linear
[region]
anchors=1,1,2,2
num=2
classes=1
softmax=1
"""


@pytest.fixture
def random_images():
    def make(cfg, count):
        return np.random.default_rng(3).integers(0, 256, (count, cfg.net.height, cfg.net.width, 3), dtype=np.uint8)

    return make


@pytest.fixture(autouse=True)
def no_wish(monkeypatch):
    monkeypatch.delenv("KERAS_BACKEND", raising=False)


@pytest.mark.parametrize("text", [EVERY_LAYER, SMALL.read_text()], ids=["odd", "small"])
def test_both_give_the_same_numbers(text, lively_weights, random_images):
    cfg = parse_cfg(text)
    weights, images = lively_weights(cfg, seed=1), random_images(cfg, 2)
    ours, theirs = in_openvino(cfg, weights, 2)(images), in_keras(cfg, weights, 2)(images)
    assert ours.shape == theirs.shape == (2, *cfg.grid, cfg.region.features)
    assert ours.dtype == np.float32
    assert theirs.std() > 0.5
    np.testing.assert_allclose(ours, theirs, atol=1e-4 * max(1.0, float(np.abs(theirs).max())))


def test_reorg_by_two_is_darknets(toy_cfg, lively_weights, random_images):
    cfg = parse_cfg(toy_cfg.replace("width=64\nheight=64", "width=128\nheight=64"))
    weights, images = lively_weights(cfg, seed=2), random_images(cfg, 1)
    ours, theirs = in_openvino(cfg, weights, 1)(images), in_keras(cfg, weights, 1)(images)
    np.testing.assert_allclose(ours, theirs, atol=1e-4 * max(1.0, float(np.abs(theirs).max())))


def test_an_image_gives_the_same_in_any_batch_and_again(toy_cfg, lively_weights, random_images):
    cfg = parse_cfg(toy_cfg)
    weights, images = lively_weights(cfg), random_images(cfg, 8)
    run = in_openvino(cfg, weights, 8)
    first = run(images)
    assert np.array_equal(first, run(images))
    assert np.array_equal(first, in_openvino(cfg, weights, 8)(images))
    np.testing.assert_allclose(in_openvino(cfg, weights, 1)(images[5:6])[0], first[5], atol=1e-4)


def test_nothing_of_keras_is_imported():
    asked = (
        "import sys, cmb_toolkit.darknet.openvino_network; print({'keras', 'tensorflow', 'torch'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_openvino_looks_where_it_is_installed():
    assert looking() == Looking("openvino")
    assert "openvino 2" in engine_to_detect("embedded", None, 0.01, 0.45).describe()
    assert "keras" in EmbeddedEngine().describe(), "what trains is Keras"


@pytest.mark.parametrize(
    "set_up",
    [
        lambda patch: patch.setenv("KERAS_BACKEND", "tensorflow"),
        lambda patch: patch.setattr(device, "on_gpu", lambda: True),
        lambda patch: patch.setattr(device, "is_there", lambda name: name != "openvino"),
    ],
    ids=["backend chosen", "on a GPU", "not installed"],
)
def test_keras_looks_where_it_should(monkeypatch, set_up):
    set_up(monkeypatch)
    assert looking() == Looking("keras")
    assert "openvino" not in looking().describe()
    monkeypatch.setattr("cmb_toolkit.darknet.looking.computes_bf16", lambda: False)
    with pytest.raises(UsageError, match="does not compute in bf16"):
        looking("bf16")
    monkeypatch.setattr("cmb_toolkit.darknet.looking.computes_bf16", lambda: True)
    assert looking("bf16").describe().endswith(", bf16")


def test_the_engine_finds_the_same_boxes_with_either(toy_project, lively_weights, pictures, tmp_path):
    project = toy_project()
    cfg = read_cfg(project / "yolo.cfg")
    path = tmp_path / "yolo.weights"
    write_weights(lively_weights(cfg, seed=4), path)

    def found(package):
        engine = EmbeddedEngine(looks=Looking(package))
        return engine.detect(project, path, pictures(project), threshold=0.05, nms=0.45, on_progress=lambda *_: None)

    one, other = found("openvino"), found("keras")
    assert len(one) > 20
    assert [each.image for each in one] == [each.image for each in other]
    for mine, theirs in zip(one, other, strict=True):
        assert mine.box.confidence == pytest.approx(theirs.box.confidence, abs=1e-4)
        assert mine.box.left == pytest.approx(theirs.box.left, abs=0.01)


def test_a_precision_that_is_not_there_is_said(toy_cfg, lively_weights):
    cfg = parse_cfg(toy_cfg)
    weights = lively_weights(cfg)
    if "bf16" in precisions():
        images = np.random.default_rng(0).integers(0, 256, (1, 64, 64, 3), dtype=np.uint8)
        rough, exact = (Looking("openvino", p).detector(cfg, weights, 1)(images) for p in ("bf16", "f32"))
        assert 0 < np.abs(rough - exact).max() < 0.1 * np.abs(exact).max()
    else:
        with pytest.raises(UsageError, match="does not compute in bf16"):
            Looking("openvino", "bf16").detector(cfg, weights, 1)


def test_a_darknet_binary_knows_no_precision(tmp_path):
    with pytest.raises(UsageError, match="f32"):
        engine_to_detect("binary", None, 0.01, 0.45, "bf16")
    assert "bf16" in engine_to_detect("auto", None, 0.01, 0.45, "bf16").describe()


def test_training_in_a_precision_is_asked_of_the_machine_first(monkeypatch, toy_cfg):
    cfg = parse_cfg(toy_cfg)
    monkeypatch.setattr("cmb_toolkit.darknet.looking.computes_bf16", lambda: False)
    with pytest.raises(UsageError, match="does not compute in bf16"):
        engine_to_train("auto", None, cfg, "bf16")
    monkeypatch.setattr("cmb_toolkit.darknet.looking.computes_bf16", lambda: True)
    assert engine_to_train("auto", None, cfg, "bf16").describe().endswith("bf16)")
    with pytest.raises(UsageError, match="f32"):
        engine_to_train("binary", None, cfg, "bf16")


def test_what_processors_say_they_compute(tmp_path, monkeypatch):
    monkeypatch.setattr(device, "on_gpu", lambda: False)
    flags = tmp_path / "cpuinfo"
    flags.write_text("flags : fpu avx2 avx512f avx512_bf16\n")
    assert computes_bf16(flags)
    flags.write_text("flags : fpu avx2 avx512f\n")
    assert not computes_bf16(flags)
    assert not computes_bf16(tmp_path / "none")
    monkeypatch.setattr(device, "on_gpu", lambda: True)
    assert computes_bf16(flags)
