import struct
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cmb_toolkit.darknet.cfg import parse_cfg
from cmb_toolkit.darknet.weights import Weights, initial_weights, read_weights, write_weights
from cmb_toolkit.errors import DataError, MissingError

SMALLEST = """[net]
width=32
height=32
channels=3
[convolutional]
batch_normalize=1
filters=3
size=3
stride=2
pad=1
activation=leaky
[convolutional]
filters=6
size=1
stride=1
activation=linear
[region]
anchors=1,1
num=1
classes=1
softmax=1
"""


@pytest.fixture
def cfg(toy_cfg):
    return parse_cfg(toy_cfg)


@pytest.fixture
def path(tmp_path, cfg):
    write_weights(initial_weights(cfg, 1), tmp_path / "a.weights")
    return tmp_path / "a.weights"


def same(a: Weights, b: Weights) -> bool:
    arrays = [[array for layer in w.layers for array in layer.arrays()] for w in (a, b)]
    return all(np.array_equal(x, y) for x, y in zip(*arrays, strict=True))


@settings(max_examples=20, deadline=None)
@given(seen=st.integers(0, 2**63), seed=st.integers(0, 1000))
def test_round_trip(seen, seed, tmp_path_factory):
    cfg = parse_cfg(SMALLEST)
    path = tmp_path_factory.mktemp("w") / "a.weights"
    weights = replace(initial_weights(cfg, seed), seen=seen)
    write_weights(weights, path)
    back = read_weights(path, cfg)
    assert same(back, weights)
    assert back.seen == seen
    assert path.stat().st_size == cfg.weights_bytes


def test_bytes_are_darknets(path, cfg):
    """Header 0.2.5 and seen, then bias, scale, mean, variance and kernels (out, in, row, column)."""
    content = path.read_bytes()
    assert struct.unpack("<3iQ", content[:20]) == (0, 2, 5, 0)
    numbers = np.frombuffer(content[20:], "<f4")
    first = initial_weights(cfg, 1).layers[0]
    assert numbers[:8].tolist() == [0.0] * 8
    assert numbers[8:16].tolist() == [1.0] * 8
    assert numbers[16:32].tolist() == [0.0] * 16
    assert numbers[32 + (5 * 3 + 2) * 9 + 1 * 3 + 2] == first.weights[5, 2, 1, 2]


def test_old_header_with_32_bits(path, cfg):
    content = path.read_bytes()
    path.write_bytes(struct.pack("<3iI", 0, 1, 0, 4711) + content[20:])
    assert read_weights(path, cfg).seen == 4711


@pytest.mark.parametrize("size", [0, 10, 20, 1000, -4, -1])
def test_cut_off_file(path, cfg, size):
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(DataError, match=r"a\.weights: .*bytes"):
        read_weights(path, cfg)


def test_other_network(path, cfg, toy_cfg):
    path.write_bytes(path.read_bytes() + b"\0" * 40)
    with pytest.raises(DataError, match="belongs to another network"):
        read_weights(path, cfg)
    other = parse_cfg(toy_cfg.replace("filters=8", "filters=16"))
    with pytest.raises(DataError, match=f"needs exactly {other.weights_bytes:,}"):
        read_weights(path, other)


def test_not_finite(path, cfg):
    content = bytearray(path.read_bytes())
    content[200:204] = struct.pack("<f", float("nan"))
    path.write_bytes(content)
    with pytest.raises(DataError, match="NaN"):
        read_weights(path, cfg)


def test_not_weights_at_all(tmp_path, cfg):
    with pytest.raises(MissingError, match=r"no\.weights"):
        read_weights(tmp_path / "no.weights", cfg)
    (tmp_path / "text.weights").write_text("These are not the weights you are looking for")
    with pytest.raises(DataError, match="not a Darknet weights file"):
        read_weights(tmp_path / "text.weights", cfg)


def test_first_layers_only_when_allowed(path, cfg):
    whole = initial_weights(cfg, 1)
    write_weights(Weights(whole.layers[:2], seen=99), path)
    with pytest.raises(DataError, match="only its first 2 of 4 convolutions"):
        read_weights(path, cfg)
    part = read_weights(path, cfg, partial=True)
    assert len(part.layers) == 2
    assert part.seen == 0
    assert same(part, Weights(whole.layers[:2]))
    path.write_bytes(path.read_bytes()[:-4])
    with pytest.raises(DataError, match="cut off"):
        read_weights(path, cfg, partial=True)


def test_variances_below_0(path, cfg):
    weights = initial_weights(cfg, 0)
    first = replace(weights.layers[0], variance=-np.ones_like(weights.layers[0].variance))
    write_weights(Weights((first, *weights.layers[1:])), path)
    with pytest.raises(DataError, match="variances below 0"):
        read_weights(path, cfg)


def test_size_is_looked_at_before_the_file_is_read(path, cfg):
    with path.open("wb") as stream:
        stream.truncate(1 << 40)  # takes no room on disk
    with pytest.raises(DataError, match=f"{path.name}: 1,099,511,627,776 bytes"):
        read_weights(path, cfg)
