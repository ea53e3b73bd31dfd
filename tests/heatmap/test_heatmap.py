"""The heatmap network's parts, and that it learns."""

import sys
from dataclasses import replace
from functools import partial
from importlib import import_module

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cmb_toolkit.backend import keras
from cmb_toolkit.errors import DataError, MissingError
from cmb_toolkit.heatmap.blocks import SIGMA_MM, draw, factor_of, folded, heat, sides_of
from cmb_toolkit.heatmap.network import build, focal_loss
from cmb_toolkit.heatmap.network_file import load
from cmb_toolkit.heatmap.peaks import LOOKS, NOW, ONCE, Looks, peaks, scores
from cmb_toolkit.heatmap.recipe import HeatmapTraining
from cmb_toolkit.heatmap.running import answers
from cmb_toolkit.heatmap.training import found_of, train
from cmb_toolkit.lessons.brains import brain_of
from cmb_toolkit.lessons.network_file import save
from cmb_toolkit.lessons.skill import check_skill
from cmb_toolkit.methods.base import Marked
from cmb_toolkit.methods.heatmap import Heatmap

SPACING = (1.0, 1.0, 2.0)


def marked(seed, marks=2, side=40, slices=14):
    """Noise with dark balls of 2 mm, and as many bright ones; the phase tells nothing."""
    random = np.random.default_rng(seed)
    swi = random.normal(100, 4, (side, side, slices)).astype(np.float32)
    grid = np.indices(swi.shape).astype(float)
    places = random.uniform((8, 8, 3), (side - 8, side - 8, slices - 3), (2 * marks, 3)).round()
    for n, place in enumerate(places):
        away = ((grid - place[:, None, None, None]) * np.array(SPACING)[:, None, None, None]) ** 2
        swi += (60 if n >= marks else -60) * np.exp(-away.sum(0) / (2 * 1.5**2)).astype(np.float32)
    phase = random.normal(0, 0.2, swi.shape).astype(np.float32)
    return Marked({"swi": swi, "phase": phase}, np.ones(swi.shape, bool), SPACING, places[:marks])


def scan(seed, **shape):
    """The same as a network sees it."""
    of = marked(seed, **shape)
    return brain_of(of.volumes["swi"], of.volumes["phase"], of.mask, of.spacing, of.marks)


@pytest.fixture(scope="module")
def learned():
    return train([scan(n) for n in range(4)], HeatmapTraining(steps=60, batch=4))


def test_parameters_are_as_many_as_said():
    counts = [sum(int(np.prod(v.shape)) for v in build(name, 8, 0).trainable_variables) for name in ("small", "large")]
    assert counts == [72_817, 721_417]


def test_squares_become_channels_and_each_voxel_keeps_its_place():
    image = np.arange(4 * 6 * 3 * 2, dtype=np.float32).reshape(4, 6, 3, 2)
    parts = folded(image, 2)
    assert parts.shape == (2, 3, 3, 8)
    for c in range(2):
        for a in range(2):
            for b in range(2):
                assert np.array_equal(parts[..., 2 * (2 * a + b) + c], image[a::2, b::2, :, c])


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 2), st.tuples(*[st.floats(2.0, 9.0)] * 2, st.floats(1.0, 5.0)))
def test_a_peak_stands_where_the_mark_is(factor, mark):
    spacing = (1.0 / factor, 1.0 / factor, 2.0)
    target = heat(np.array([mark]), (24, 24, 8), spacing, factor)
    assert target.max() == 1
    assert (target == 1).sum() == 1
    places, heights = peaks(target, spacing, separation_mm=3, most=10)
    assert len(places) == 1
    assert np.abs((places[0] - mark) * spacing)[:2].max() < 0.5
    assert abs(places[0][2] - mark[2]) <= 0.5
    assert heights[0] == 1


def test_peaks_lie_between_voxels():
    grid = np.indices((30, 30, 7)).astype(float)
    place = np.array([12.3, 17.6, 3.0])
    found = np.exp(-(((grid - place[:, None, None, None]) ** 2).sum(0)) / (2 * SIGMA_MM**2)).astype(np.float32)
    (exact, *_), _ = peaks(found, (0.5, 0.5, 2.0), separation_mm=3, most=10)
    np.testing.assert_allclose(exact[:2], 2 * place[:2] + 0.5, atol=0.02)
    assert exact[2] == 3


def test_blocks_show_marks_what_was_mined_and_anywhere():
    brains = [scan(0), scan(1, marks=0)]
    mined = [np.empty((0, 3)), np.array([[20.0, 20.0, 7.0]])]
    block = draw(brains, mined, 8, np.random.default_rng(0))
    sides = sides_of(SPACING)
    assert block.image.shape == (8, *sides, 2)
    assert block.target.shape == block.weight.shape == (8, *sides)
    assert (block.target.reshape(8, -1).max(1) == 1)[:4].all(), "half are around marks"
    assert np.abs(block.image).max() <= 0.5
    assert set(np.unique(block.weight)) <= {0, 1}
    assert (block.image[block.weight == 0] == 0).all()
    again = draw(brains, mined, 8, np.random.default_rng(0))
    assert np.array_equal(block.image, again.image)


def test_a_mark_turns_with_its_block():
    """Wherever the target peaks, the image is dark: whatever the turn."""
    brains = [scan(3, marks=3)]
    for seed in range(6):
        block = draw(brains, [np.empty((0, 3))], 4, np.random.default_rng(seed))
        for image, target in zip(block.image, block.target, strict=True):
            for place in np.argwhere(target == 1):
                assert image[(*place, 0)] < 0, "SWI is dark at every peak"


def test_loss_forgives_the_neighbours_of_a_peak():
    target = np.zeros((1, 5, 5, 3, 1), np.float32)
    target[0, 2, 2, 1], target[0, 2, 3, 1] = 1, 0.8
    weight = np.ones_like(target)

    def loss(**at):
        logits = np.full(target.shape, -6, np.float32)
        logits[0, 2, 2, 1] = 6
        for place, value in at.items():
            logits[(0, *map(int, place[1:]))] = value
        return float(focal_loss(target, logits, weight))

    assert loss() < 1e-3
    assert loss() < loss(p231=4) < 0.1 * loss(p001=4)
    assert loss(p221=-4) > 1
    weight[0, 0, 0, 1] = 0
    assert loss(p001=4) == pytest.approx(loss(), abs=1e-6), "outside the brain nothing counts"


@pytest.mark.slow
def test_it_learns_dark_balls_and_not_bright_ones(learned):
    model, history = learned
    assert history["step"].iloc[-1] == 60
    test = scan(99, marks=3)
    places, _ = found_of(answers(model), test)
    away = np.linalg.norm((places[:, None] - test.marks[None]) * SPACING, axis=2)
    assert (away[:3].min(0) < 1.5).all(), "the three highest peaks are the three microbleeds"
    skill = check_skill(partial(found_of, answers(model)), [scan(n) for n in range(4)])
    assert skill["found"] >= 7


def test_a_network_that_learned_nothing_is_not_kept():
    with pytest.raises(DataError, match="has learned nothing"):
        check_skill(partial(found_of, answers(build("small", 2, 0))), [scan(n) for n in range(3)])
    with pytest.raises(DataError, match="no microbleed"):
        train([scan(0, marks=0)], HeatmapTraining(steps=20))


def lively(model):
    """Numbers with which every layer matters."""
    random = np.random.default_rng(1)
    for weight in model.weights:
        spread = (2 / np.prod(weight.shape[:-1])) ** 0.5 if len(weight.shape) > 1 else 0.2
        middle = 1 if "gamma" in weight.path or "variance" in weight.path else 0
        weight.assign(np.clip(random.normal(middle, spread, weight.shape), middle - 0.8, None))
    return model


@pytest.mark.parametrize("name", ["small", "large"])
@pytest.mark.parametrize("backend", ["", "tensorflow"])
def test_the_file_gives_the_same_answers_by_openvino_and_by_keras(name, backend, tmp_path, monkeypatch):
    if backend and keras.backend.backend() != backend:
        pytest.skip(f"Keras computes with {keras.backend.backend()}")
    model = lively(build(name, 2, 5))
    path = tmp_path / "network.npz"
    save(model, path)
    brain = scan(0, side=44)
    if backend:
        monkeypatch.setenv("KERAS_BACKEND", backend)
    found, expected = load(path, SPACING)(brain), scores(answers(model), brain)
    assert expected.std() > 1e-3
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_a_scan_turned_round_has_its_answer_turned_round_if_it_is_looked_at_both_ways():
    run, brain = answers(lively(build("small", 2, 5))), scan(0, side=64, slices=12)
    other = replace(brain, channels=np.flip(brain.channels, (0, 1)), mask=np.flip(brain.mask, (0, 1)))

    def differ(looks):
        return np.abs(np.flip(scores(run, other, looks), (0, 1)) - scores(run, brain, looks)).max()

    assert differ(LOOKS["turned"]) < 1e-6
    assert differ(ONCE) > 1e-2


def test_the_mean_is_of_all_turns_each_in_its_place():
    brain = scan(0, side=44)
    seen = []

    def run(image):
        seen.append(image)
        return image[..., :1] + np.float32(len(seen))  # each voxel's SWI, and which turn it was

    found = scores(run, brain, Looks(((), (0,), (1,), (0, 1))))
    expected = np.where(brain.mask, brain.channels[..., 0].astype(np.float32) + 2.5, 0)
    np.testing.assert_allclose(found[:44, :44, :14], expected, atol=1e-6)
    assert len({image.tobytes() for image in seen}) == 4


@pytest.mark.parametrize("side", [44, 63])
def test_what_a_shrunk_scan_shows_stands_in_its_place(side):
    """Of a smooth image, answers of the shrunk scan alone are the image again, but for its edge."""
    shape = (side, side + 1, 13)
    i, j, k = np.indices(shape)
    wave = (0.2 * np.sin(i / 9) + 0.15 * np.cos(j / 11) + 0.1 * np.sin(k / 5) - 0.02).astype(np.float16)
    brain = replace(scan(0), channels=np.stack([wave, wave], -1), mask=np.ones(shape, bool))
    widest = []

    def run(image):
        widest.append(image.shape[1])
        return image[..., :1] + np.float32(0.5) if len(widest) > 1 else np.zeros_like(image[..., :1])

    found = scores(run, brain, Looks(shrunk=True))
    assert widest == [64, 32]
    inner = np.s_[2 : side - 2, 2 : side - 1, 1:11]
    np.testing.assert_allclose(found[inner], wave[inner] + 0.5, atol=0.01)


def test_of_a_scan_and_a_shrunk_one_the_higher_answer_counts_and_only_in_the_brain():
    brain = scan(0, side=44)
    brain.mask[:10] = False
    low = [np.float32(0.2), np.float32(0.6)]

    def run(image):
        return np.full_like(image[..., :1], low.pop())

    found = scores(run, brain, Looks(shrunk=True))
    assert set(np.unique(found[:44, :44, :14])) == {np.float32(0), np.float32(0.6)}
    assert not found[:10].any()


@pytest.mark.slow
def test_a_ball_that_is_larger_than_any_that_were_learned_is_found_in_the_shrunk_scan(learned):
    brain = scan(7, marks=0, side=64, slices=20)
    at = (30, 34, 9)
    away = (np.moveaxis(np.indices(brain.mask.shape), 0, -1) - at) * SPACING
    ball = np.exp(-((away**2).sum(-1)) / (2 * 3.5**2))[..., None] * np.array([-0.5, 0])
    brain = replace(brain, channels=np.clip(brain.channels + ball, -0.5, 0.5).astype(np.float16))
    plain, both = (scores(answers(learned[0]), brain, LOOKS[name])[at] for name in ("turned", NOW))
    assert both > 2 * plain
    assert both > 0.3


def test_a_file_says_how_scans_are_looked_at_and_older_ones_stay_as_they_were(tmp_path):
    model, brain = lively(build("small", 2, 5)), scan(0)
    path, older = tmp_path / "network.npz", tmp_path / "older.npz"
    for name, looks in LOOKS.items():
        save(model, path, looks=name)
        np.testing.assert_allclose(load(path, SPACING)(brain), scores(answers(model), brain, looks), atol=1e-5)
    with np.load(path) as file:
        arrays = {name: file[name] for name in file.files if name != "looks"}
    for said, looks in (({}, ""), ({"turned": False}, ""), ({"turned": True}, "turned")):
        np.savez(older, **arrays, **said)
        np.testing.assert_allclose(load(older, SPACING)(brain), scores(answers(model), brain, LOOKS[looks]), atol=1e-5)
    save(model, path, looks="in a mirror")
    with pytest.raises(DataError, match=r"not known here \('in a mirror'\)\. Use the version"):
        load(path, SPACING)


@pytest.mark.slow
def test_what_has_learned_now_looks_at_scans_turned_and_shrunk_as_well(learned, tmp_path, monkeypatch):
    monkeypatch.setattr(import_module("cmb_toolkit.heatmap.training"), "train", lambda *_, **__: learned)
    path, brain = tmp_path / "network.npz", scan(99)
    Heatmap().learn([marked(n) for n in range(4)], path, checkpoint=tmp_path, key="", on_progress=lambda *_: None)
    np.testing.assert_allclose(load(path, SPACING)(brain), scores(answers(learned[0]), brain, LOOKS[NOW]), atol=1e-5)


def test_an_openvino_that_cannot_be_imported_is_named(tmp_path, monkeypatch):
    path = tmp_path / "network.npz"
    save(build("small", 2, 5), path)
    monkeypatch.delenv("KERAS_BACKEND", raising=False)
    monkeypatch.setitem(sys.modules, "cmb_toolkit.openvino_layers", None)
    with pytest.raises(MissingError, match=r"openvino cannot be imported.*pip uninstall openvino"):
        load(path, SPACING)


def test_other_files_are_refused(tmp_path):
    path = tmp_path / "network.npz"
    save(build("small", 2, 5), path)
    with pytest.raises(DataError, match="other voxels"):
        load(path, (0.5, 0.5, 2))
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(DataError, match="not a readable network"):
        load(path, SPACING)
    save(build("large", 2, 0), path)
    with np.load(path) as file:
        arrays = {name: file[name] for name in file.files}
    arrays["name"] = np.array("heatmap-small")
    np.savez(path, **arrays)
    with pytest.raises(DataError, match="numbers are not those"):
        load(path, SPACING)


def test_voxels_decide_the_grid():
    assert [factor_of((side, side, 2)) for side in (0.25, 0.5, 0.8, 1.2)] == [4, 2, 1, 1]
    for side in (0.25, 0.5, 0.8):
        first, second, _ = sides_of((side, side, 2))
        assert first == second
        assert first % (4 * factor_of((side, side, 2))) == 0
        assert 24 < first * side < 40
