"""What is kept of an unfinished training, and what of it is believed."""

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cmb_toolkit.darknet.cfg import parse_cfg
from cmb_toolkit.darknet.state import TrainingState, first_weights
from cmb_toolkit.darknet.weights import Weights, initial_weights, write_weights
from cmb_toolkit.errors import DataError, StorageError, UsageError
from cmb_toolkit.schema import YOLO_HISTORY


@pytest.fixture
def cfg(toy_cfg):
    return parse_cfg(toy_cfg)  # batch 4


@pytest.fixture
def opened(cfg, tmp_path):
    """A function that opens the same state again."""
    return lambda identity="seed 1": TrainingState(
        tmp_path / "training", cfg, first_weights(cfg, 1), "embedded", identity
    )


def names(folder) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_saved_and_opened_again(opened, cfg, tmp_path):
    state = opened()
    assert (state.start.iteration, state.resumed, state.rows) == (0, False, [])
    for iteration in (1, 2, 3):
        row = state.record(iteration, 10.0 / iteration, iteration * 2.0)
    assert row.avg_loss == pytest.approx(0.9 * (0.9 * 10 + 0.1 * 5) + 0.1 * 10 / 3)
    assert row.images == 12
    weights, buffers = initial_weights(cfg, 9), [np.arange(3.0, dtype=np.float32), np.ones((2, 2), np.float32)]
    state.save(2, weights, buffers)
    again = opened()
    assert (again.start.iteration, again.resumed, again.start.weights.seen) == (2, True, 8)
    for a, b in zip(again.start.weights.layers, weights.layers, strict=True):
        np.testing.assert_array_equal(a.weights, b.weights)
    for a, b in zip(again.start.optimiser, buffers, strict=True):
        np.testing.assert_array_equal(a, b)
    assert again.history["iteration"].tolist() == [1, 2]  # the third is done again
    assert again.record(3, 1.0, 5.0).seconds == 4.0 + 5.0
    assert list(again.history.columns) == YOLO_HISTORY.names
    assert opened("seed 2").start.iteration == 0
    assert names(tmp_path / "training") == ["history.tsv", "run.json"]


def test_two_checkpoints_are_kept_and_the_older_one_stands_in(opened, cfg, tmp_path):
    folder = tmp_path / "training"
    state = opened()
    for iteration in (1, 2, 3):
        state.record(iteration, 1.0, 1.0)
        state.save(iteration, initial_weights(cfg, iteration), [])
    assert [n for n in names(folder) if n.endswith(".weights")] == ["yolo_00000002.weights", "yolo_00000003.weights"]
    newest = folder / "yolo_00000003.weights"
    newest.write_bytes(newest.read_bytes()[:-8])
    assert opened().start.iteration == 2
    assert not newest.exists()


@pytest.mark.parametrize("spoil", ["cut", "nan", "seen", "other"])
def test_what_is_not_whole_is_not_taken_in(opened, cfg, tmp_path, toy_cfg, spoil):
    """From Darknet's own folder, after a kill."""
    state = opened()
    state.snapshots.mkdir(parents=True)
    good = initial_weights(cfg, 3)
    write_weights(replace(good, seen=8), state.snapshots / "yolo_2.weights")
    bad = state.snapshots / "yolo_3.weights"
    write_weights(replace(good, seen=12), bad)
    if spoil == "cut":
        bad.write_bytes(bad.read_bytes()[:-4])
    elif spoil == "nan":
        bad.write_bytes(bad.read_bytes()[:-4] + np.float32(np.nan).tobytes())
    elif spoil == "seen":
        write_weights(replace(good, seen=13), bad)
    else:
        write_weights(initial_weights(parse_cfg(toy_cfg.replace("filters=8", "filters=9")), 0), bad)
    with pytest.raises(DataError):
        state.adopt(bad)
    again = opened()
    assert again.start.iteration == 2
    assert again.start.optimiser is None
    assert names(state.snapshots) == []


def test_a_history_that_was_cut_off(opened, cfg, tmp_path):
    state = opened()
    state.record(1, 2.0, 1.0)
    state.record(2, 1.0, 2.0)
    state.save(2, initial_weights(cfg, 1), [])
    with (tmp_path / "training" / "history.tsv").open("a") as stream:
        stream.write("3\t0.5\t0")
    assert opened().history["loss"].tolist() == [2.0, 1.0]
    (tmp_path / "training" / "history.tsv").write_bytes(b"\xff\xfe")
    state = opened()
    assert (state.rows, state.start.iteration) == ([], 2)


def write_to_a_full_disk(weights, path):
    with Path("/dev/full").open("w", encoding="utf-8") as stream:
        stream.write("x")


def test_a_full_disk(opened, cfg, tmp_path, monkeypatch):
    state = opened()
    history = tmp_path / "training" / "history.tsv"
    history.unlink()
    history.symlink_to("/dev/full")
    with pytest.raises(StorageError, match=r"history\.tsv: could not be written.*Free some space"):
        state.record(1, 1.0, 1.0)
    monkeypatch.setattr("cmb_toolkit.darknet.state.write_weights", write_to_a_full_disk)
    with pytest.raises(StorageError, match=r"yolo_00000001\.weights: could not be written"):
        state.save(1, initial_weights(cfg, 1), [np.zeros(100_000, np.float32)])


def test_first_weights(cfg, tmp_path):
    path = tmp_path / "given.weights"
    write_weights(replace(initial_weights(cfg, 5), seen=12), path)
    begun = first_weights(cfg, 0, path)
    assert (begun.iteration, begun.weights.seen) == (0, 0)
    assert first_weights(cfg, 0, path, count_on=True).iteration == 3
    for seen, message in ((0, "0 images"), (13, "13 images"), (24, "6 iterations behind it, and max_batches=6")):
        write_weights(replace(initial_weights(cfg, 5), seen=seen), path)
        with pytest.raises(UsageError, match=message):
            first_weights(cfg, 0, path, count_on=True)
    write_weights(Weights(initial_weights(cfg, 5).layers[:2], seen=12), path)
    partial = first_weights(cfg, 1, path)
    np.testing.assert_array_equal(partial.weights.layers[1].weights, initial_weights(cfg, 5).layers[1].weights)
    np.testing.assert_array_equal(partial.weights.layers[2].weights, initial_weights(cfg, 1).layers[2].weights)
    with pytest.raises(UsageError, match="not known where to count on"):
        first_weights(cfg, 1, path, count_on=True)
    with pytest.raises(UsageError, match="needs weights"):
        first_weights(cfg, 1, None, count_on=True)


@pytest.mark.parametrize("name", ["history.tsv", "yolo_00000002.npz", "yolo_00000002.weights", "run.json"])
@pytest.mark.parametrize("make", [Path.mkdir, os.mkfifo, lambda path: path.symlink_to("/dev/zero")])
def test_what_is_no_file_is_made_anew(opened, cfg, tmp_path, name, make):
    state = opened()
    state.record(2, 1.0, 1.0)
    state.save(2, initial_weights(cfg, 1), [])
    (state.folder / name).unlink()
    make(state.folder / name)
    assert opened().start.iteration in (0, 2)


@pytest.mark.parametrize("buffer", [np.full(3, np.nan, np.float32), np.zeros(3, np.float64), np.array(["x"])])
def test_buffers_that_are_none_begin_anew(opened, cfg, buffer):
    state = opened()
    state.save(2, initial_weights(cfg, 1), [np.ones(3, np.float32)])
    assert opened().start.optimiser is not None
    np.savez(state.folder / "yolo_00000002.npz", buffer)
    again = opened().start
    assert (again.iteration, again.optimiser) == (2, None)
