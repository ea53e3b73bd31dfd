import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cmb_toolkit.darknet.cfg import parse_cfg, read_cfg
from cmb_toolkit.darknet.layers import Convolutional, Maxpool, Net, Region, Reorg, Route
from cmb_toolkit.darknet.weights import initial_weights
from cmb_toolkit.errors import DataError, MissingError

CFGS = Path(__file__).parents[2] / "cfg"


@pytest.mark.parametrize("name", ["yolov2-paper", "yolov2-released"])
def test_papers_network(name):
    """23 convolutions, 5 poolings, a 14x14 grid, 50,578,686 stored numbers."""
    cfg = read_cfg(CFGS / f"{name}.cfg")
    assert cfg.floats == 50_578_686
    assert cfg.weights_bytes == 202_314_764
    assert cfg.grid == (14, 14)
    assert cfg.stride == 32
    assert sum(isinstance(layer, Maxpool) for layer in cfg.layers) == 5
    assert [type(layer) for layer in cfg.layers[-7:]] == [
        Route,
        Convolutional,
        Reorg,
        Route,
        *[Convolutional] * 2,
        Region,
    ]
    assert cfg.shapes[-5:] == ((256, 14, 14), (1280, 14, 14), (1024, 14, 14), (30, 14, 14), (30, 14, 14))
    assert cfg.net.rate(1000) == pytest.approx(0.0005)
    assert cfg.net.rate(500) == pytest.approx(0.0005 / 16)
    assert cfg.net.rate(10_000) == pytest.approx(0.00005)
    assert cfg.net.rate(40_000) == pytest.approx(0.000005)


def test_floats_are_those_of_the_arrays(toy_cfg):
    cfg = parse_cfg(toy_cfg)
    arrays = [array for layer in initial_weights(cfg, 0).layers for array in layer.arrays()]
    assert cfg.floats == sum(array.size for array in arrays)


def test_first_weights_are_uniform_with_darknets_bound(toy_cfg):
    cfg = parse_cfg(toy_cfg)
    one, two = initial_weights(cfg, 3), initial_weights(cfg, 3)
    for (_, layer, channels), a, b in zip(cfg.convolutions(), one.layers, two.layers, strict=True):
        bound = np.sqrt(2 / (channels * layer.size**2))
        assert np.abs(a.weights).max() <= bound
        assert np.abs(a.weights).max() > 0.9 * bound
        np.testing.assert_array_equal(a.weights, b.weights)
    assert not np.array_equal(one.layers[0].weights, initial_weights(cfg, 4).layers[0].weights)


@settings(max_examples=15, deadline=None)
@given(st.data())
def test_blanks_comments_and_line_ends_do_not_matter(data):
    text = (CFGS / "yolov2-paper.cfg").read_text()
    noise = st.sampled_from(["", "\r", " ", "\t\r", "\n", "\r\n# note = 3", "\n; [convolutional]", "\n   \t"])
    lines = text.split("\n")
    chosen = data.draw(st.lists(noise, min_size=len(lines), max_size=len(lines)))
    messy = "\n".join(line.replace("=", " = ") + extra for line, extra in zip(lines, chosen, strict=True))
    assert parse_cfg(messy) == parse_cfg(text)


def test_comment_after_a_number_as_in_the_authors_file(toy_cfg):
    text = toy_cfg.replace("filters=12\nsize=1", "filters= 12 # num * (classes + 5)\nsize=1")
    assert parse_cfg(text) == parse_cfg(toy_cfg)


def test_first_of_two_values_counts(toy_cfg):
    assert parse_cfg(toy_cfg.replace("batch=4", "batch=4\nbatch=8")).net.batch == 4


def test_what_darknet_ignores_is_accepted(toy_cfg):
    text = toy_cfg.replace("[net]", "[net]\nangle=90\nmosaic=0").replace(
        "[region]", "[region]\nabsolute=1\nfocal_loss=0"
    )
    assert parse_cfg(text).layers == parse_cfg(toy_cfg).layers


def test_defaults_are_darknets(toy_cfg):
    text = "\n".join(
        line
        for line in toy_cfg.split("\n")
        if not line.startswith(("learning_rate", "momentum", "decay", "policy", "burn_in", "adam", "flip", "jitter"))
    )
    cfg = parse_cfg(text)
    assert cfg.net == Net(64, 64, batch=4, max_batches=6)
    assert (cfg.net.decay, cfg.net.momentum, cfg.net.eps, cfg.region.jitter) == (0.0001, 0.9, 1e-6, 0.2)


def test_poly_policy(toy_cfg):
    net = parse_cfg(toy_cfg.replace("policy=constant", "policy=poly").replace("burn_in=5", "power=2")).net
    assert net.rate(3) == pytest.approx(0.01 * 0.25)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("[net]", "[net]\nmosaic=1", "mosaic=1 in .net. is not supported"),
        ("[net]", "[net]\nmixup=1", "mixup"),
        ("[net]", "[net]\nletter_box=1", "letter_box"),
        ("[net]", "[net]\nlearning_rat=1", "learning_rat=1 in .net. is not known"),
        ("batch=4", "batch=four", "batch=four.*expected a number"),
        ("batch=4", "batch=4.5", "whole number"),
        ("batch=4\nsubdivisions=1", "batch=4\nsubdivisions=3", "not a multiple of subdivisions=3"),
        ("channels=3", "channels=1", "channels=1"),
        ("policy=constant", "policy=sgdr", "policy=sgdr"),
        ("policy=constant", "policy=steps\nsteps=1,2\nscales=.1", "2 steps and 1 scales"),
        ("[maxpool]", "[shortcut]", "shortcut.*does not know"),
        ("activation=linear", "activation=mish", "activation=mish"),
        ("activation=linear\n", "", "activation=logistic"),
        ("filters=12\nsize=1", "filters=30\nsize=1", r"filters=12 there"),
        ("layers=-3", "layers=5", "earlier layers"),
        ("layers=-1,-3", "layers=-1,0", "different sizes: 8x8, 32x32"),
        ("softmax=1", "softmax=0", "softmax=1"),
        ("num=2", "num=3", "num=3 and 4 numbers in anchors: expected 6"),
        ("anchors=1.2,1.2,2.5,2.5", "anchors=1.2,1.2,2.5,-1", "positive"),
        ("[region]", "[region]\nfocal_loss=1", "focal_loss"),
        ("[region]", "[region]\nresize=1.5", "resize"),
        ("thresh=.6", "thresh=.6\n[maxpool]", "after .region., which must be the last"),
        ("[maxpool]\nsize=2", "[maxpool]\npadding=0\nsize=99", "too small"),
        ("width=64", "width=60", "does not divide|cannot divide"),
        ("[net]\n", "[net]\nwhat is this\n", "line 3.*neither"),
    ],
)
def test_what_cannot_be_computed_is_refused_by_name(toy_cfg, old, new, message):
    assert old in toy_cfg
    with pytest.raises(DataError, match=message) as caught:
        parse_cfg(toy_cfg.replace(old, new, 1), "my.cfg")
    assert "my.cfg" in str(caught.value)


def test_no_network_file(tmp_path):
    with pytest.raises(MissingError, match=r"none\.cfg"):
        read_cfg(tmp_path / "none.cfg")
    (tmp_path / "picture.cfg").write_bytes(b"\x89PNG\xff\xfe")
    with pytest.raises(DataError, match=r"picture\.cfg: not a text file"):
        read_cfg(tmp_path / "picture.cfg")
    for text in ("", "width=3", "[convolutional]\nfilters=3"):
        with pytest.raises(DataError):
            parse_cfg(text)
    with pytest.raises(DataError, match="last layer must be"):
        parse_cfg("[net]\nwidth=32\nheight=32\nchannels=3\n[maxpool]\nsize=2\nstride=2")


ODD = ["inf", "-inf", "nan", "1e400", "1_000", "１２", "0x10", "a" * 1000, "1e9", "-1", "1.5"]


@pytest.mark.parametrize("key", ["width", "height", "channels", "batch", "filters", "size", "stride", "num", "classes"])
@pytest.mark.parametrize("value", ODD)
def test_numbers_that_no_network_has(toy_cfg, key, value):
    text = "\n".join(f"{key}={value}" if line.startswith(f"{key}=") else line for line in toy_cfg.split("\n"))
    with pytest.raises(DataError, match=rf"cfg, line \d+: {key}=") as error:
        parse_cfg(text)
    assert len(str(error.value)) < 300


@pytest.mark.parametrize("key", ["width", "height", "channels"])
def test_what_is_needed_and_is_not_there(toy_cfg, key):
    text = "\n".join(line for line in toy_cfg.split("\n") if not line.startswith(f"{key}="))
    with pytest.raises(DataError, match=f"lacks {key}"):
        parse_cfg(text)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("layers=-3", "layers=inf", "layers=inf in .route.: expected numbers"),
        ("layers=-3", "layers=-1.5", "layers=-1.5 in .route.: expected whole numbers"),
        ("policy=constant", "policy=steps\nsteps=nan\nscales=.1", "steps=nan"),
        ("policy=constant", "policy=steps\nsteps=inf\nscales=.1", "steps=inf"),
        ("policy=constant", f"policy=steps\nsteps={'1,' * 60}1\nscales={'1e6,' * 60}1", "no sane learning rate"),
        ("policy=constant", "policy=poly\npower=-1", "power=-1"),
        ("learning_rate=0.01", "learning_rate=1e300", "learning_rate=1e300"),
        ("anchors=1.2,1.2,2.5,2.5", "anchors=1.2,1.2,2.5,nan", "anchors=1.2,1.2,2.5,nan"),
        ("anchors=1.2,1.2,2.5,2.5", "anchors=1.2,1.2,2.5,1e300", "4 numbers in anchors"),
        ("filters=8", "filters=60000", "weights would take|numbers between layers would take"),
        ("batch=4", "batch=60000", "numbers between layers would take"),
        ("[maxpool]", "[maxpool]\n" * 2000, "sections"),
        ("[region]", f"[{'x' * 1000}]", "is a layer this engine does not know"),
    ],
)
def test_what_would_break_later_is_refused_by_name(toy_cfg, old, new, message):
    with pytest.raises(DataError, match=message) as error:
        parse_cfg(toy_cfg.replace("height=64", "height=512").replace("width=64", "width=512").replace(old, new))
    assert len(str(error.value)) < 500


@pytest.mark.parametrize("make", [Path.mkdir, lambda path: path.symlink_to("/dev/zero"), os.mkfifo])
def test_what_is_no_file(make, tmp_path):
    make(tmp_path / "net.cfg")
    with pytest.raises(MissingError, match=r"net\.cfg: is a .*Give a Darknet \.cfg file"):
        read_cfg(tmp_path / "net.cfg")
