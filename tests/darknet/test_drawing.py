"""Training images drawn anew: labels follow the spots, black stays black, seed and iteration decide."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cmb_toolkit.darknet.cfg import parse_cfg, read_cfg
from cmb_toolkit.darknet.drawing import Drawing, draw_image, place_in
from cmb_toolkit.darknet.mining import hard_places, read_places, write_places
from cmb_toolkit.darknet.project import CFG, TRAIN_LIST, read_list
from cmb_toolkit.darknet.samples import Samples
from cmb_toolkit.darknet.training import train_project
from cmb_toolkit.errors import DataError
from cmb_toolkit.model import Box, Detection

SIDE = 160
DRAWN = Drawing(angle=15, zoom=0.18, gamma=0.25, gain=0.15, noise=0.02)
KEYS = (
    "draw=1\ndraw_size=64\ndraw_angle=15\ndraw_zoom=.18\ndraw_gamma=.2\ndraw_gain=.1\ndraw_noise=.02\ndraw_hard=.25\n"
)


def spot(x: float, y: float) -> np.ndarray:
    """A grey image with one dark spot."""
    rows, columns = np.mgrid[:SIDE, :SIDE] + 0.5
    image = 150 - 120 * np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / (2 * 3.0**2))
    return np.repeat(np.round(image).astype(np.uint8)[..., None], 3, axis=2)


def label(x: float, y: float) -> np.ndarray:
    return np.array([[x / SIDE, y / SIDE, 20 / SIDE, 20 / SIDE, 0]], np.float32)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6), st.floats(50, 110), st.floats(50, 110), st.sampled_from([64, 96, SIDE]))
def test_the_label_follows_the_spot(seed, x, y, size):
    drawing = Drawing(angle=15, zoom=0.18, gamma=0.25, gain=0.15, shift=20)
    image, boxes = draw_image(spot(x, y), label(x, y), np.array([x, y]), drawing, size, np.random.default_rng(seed))
    assert image.shape == (size, size, 3)
    assert len(boxes) == 1
    np.testing.assert_allclose(boxes[0, 2:4] * size, 20, rtol=1e-5)
    dark = np.where(image[..., 0] > 0, 255.0 - image[..., 0], 0)  # beyond the slice it is black
    u, v = boxes[0, :2] * size
    rows, columns = np.mgrid[:size, :size] + 0.5
    near = (np.hypot(columns - u, rows - v) < 6) * np.maximum(dark - np.median(dark), 0)
    if near.sum() and min(u, v, size - u, size - v) > 8:
        assert np.hypot((near * columns).sum() / near.sum() - u, (near * rows).sum() / near.sum() - v) < 0.5


def test_a_window_holds_what_it_is_laid_around_and_drops_what_it_does_not_show():
    two = np.concatenate([label(30, 30), label(130, 130)])
    for seed in range(50):
        _, boxes = draw_image(spot(30, 30), two, np.array([30.0, 30.0]), DRAWN, 64, np.random.default_rng(seed))
        assert len(boxes) == 1
        assert ((boxes[:, :2] * 64 >= 11.9) & (boxes[:, :2] * 64 <= 52.1)).all()


def test_every_symmetry_is_drawn():
    corner = np.zeros((SIDE, SIDE, 3), np.uint8)
    corner[:40, :20] = 200
    seen = set()
    for seed in range(100):
        image, _ = draw_image(
            corner, np.zeros((0, 5), np.float32), np.zeros(2), Drawing(), SIDE, np.random.default_rng(seed)
        )
        assert image.sum() == corner.sum()
        seen.add(image.tobytes())
    assert len(seen) == 8


def test_black_stays_black_and_noise_has_its_size():
    image = np.full((SIDE, SIDE, 3), 120, np.uint8)
    image[:, :60] = 0
    drawn = np.stack(
        [
            draw_image(image, label(9, 9)[:0], np.zeros(2), Drawing(noise=0.02), SIDE, np.random.default_rng(n))[0]
            for n in range(20)
        ]
    )
    grey = drawn[drawn > 0].astype(float)
    assert grey.size == pytest.approx(drawn.size * 100 / 160)
    assert grey.mean() == pytest.approx(120, abs=0.3)
    spread = [one[one > 0].astype(float).std() for one in drawn]
    assert 0.02 * 255 * 0.3 < np.mean(spread) < 0.02 * 255 * 0.8


def test_places_lie_in_the_brain():
    image = np.zeros((SIDE, SIDE, 3), np.uint8)
    image[60:90, 100:150] = 5
    for seed in range(30):
        x, y = place_in(image, np.random.default_rng(seed))
        assert (100 < x < 150 and 60 < y < 90) or (x, y) == (80, 80)
    assert place_in(image * 0, np.random.default_rng(0)).tolist() == [80, 80]


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ("draw=1\ndraw_size=65\n", "draw_size=65"),
        ("draw=1\ndraw_marked=.9\ndraw_hard=.2\n", "shares of the same images"),
        ("draw=1\nexposure=1.5\n", "takes the place of"),
        ("draw=1\ndraw_angle=400\n", "draw_angle"),
    ],
)
def test_what_does_not_fit_is_refused(toy_cfg, keys, message):
    with pytest.raises(DataError, match=message):
        parse_cfg(toy_cfg.replace("flip=0\n", f"flip=0\n{keys}"))


def drawing_cfg(toy_cfg: str) -> str:
    return toy_cfg.replace("flip=0\n", f"flip=0\n{KEYS}").replace("max_batches=6", "max_batches=8")


def test_batches_have_their_share_of_microbleeds_and_are_never_the_same(toy_project, toy_cfg):
    project = toy_project(drawing_cfg(toy_cfg), side=64)
    cfg = read_cfg(project / CFG)
    samples = Samples(cfg, [project / line for line in read_list(project / TRAIN_LIST)])
    batches = [samples.batch(n, seed=1) for n in range(1, 9)]
    assert all((truths[..., 2] > 0).any(axis=1).sum() >= 2 for _, truths in batches)
    images = {image.tobytes() for batch, _ in batches for image in batch}
    assert len(images) == 8 * cfg.net.batch
    again, truths = samples.batch(3, seed=1)
    assert np.array_equal(again, batches[2][0])
    assert np.array_equal(truths, batches[2][1])
    assert not np.array_equal(samples.batch(3, seed=2)[0], again)


def test_a_killed_training_that_mined_ends_with_the_same_weights(toy_project, toy_cfg, tmp_path):
    project = toy_project(drawing_cfg(toy_cfg), side=64)
    whole = train_project(project, seed=3)

    def kill_at(last):
        def watch(done, total, what):
            if done == last:
                raise KeyboardInterrupt

        return watch

    for last in (3, 6):  # before and after half time
        with pytest.raises(KeyboardInterrupt):
            train_project(
                project, seed=3, scratch=tmp_path / "scratch", checkpoint_every_s=0, on_progress=kill_at(last)
            )
    resumed = train_project(project, seed=3, scratch=tmp_path / "scratch", checkpoint_every_s=0)
    for one, other in zip(whole.weights.layers, resumed.weights.layers, strict=True):
        for a, b in zip(one.arrays(), other.arrays(), strict=True):
            assert np.array_equal(a, b)


def test_hard_places_are_false_and_the_strongest(toy_project, toy_cfg, tmp_path):
    project = toy_project(drawing_cfg(toy_cfg), side=64)
    for path in (project / "slices").glob("*.txt"):
        path.write_text("0 0.25 0.25 0.2 0.2\n" if path.stem.endswith("-004") else "")
    cfg = read_cfg(project / CFG)
    samples = Samples(cfg, [project / line for line in read_list(project / TRAIN_LIST)])
    number = {path.stem: n for n, path in enumerate(samples.paths)}

    def seen(k, x, y, confidence):
        return Detection(f"sub-001_slice-{k:03d}", Box(x - 5, y - 5, x + 5, y + 5, confidence))

    near = [seen(k, 18, 14, 0.9) for k in (3, 5, 6, 7)]  # the microbleed of slice 4, seen from its neighbours
    far = [seen(5, 50, 40, 0.1), seen(5, 50, 50, 0.5), seen(5, 40, 50, 0.3), seen(8, 16, 16, 0.2)]
    places = hard_places(samples, near + far, most_a_slice=2)
    fifth, eighth = number["sub-001_slice-005"], number["sub-001_slice-008"]
    assert places == [(fifth, 50, 50), (fifth, 40, 50), (eighth, 16, 16)]
    write_places(places, tmp_path / "hard.tsv")
    assert read_places(tmp_path / "hard.tsv") == places
    (tmp_path / "hard.tsv").write_text("1\t2")
    assert read_places(tmp_path / "hard.tsv") is None
