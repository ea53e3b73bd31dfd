"""Dou's screening network: looked at densely it is what it is on windows, and its answers lie where they should."""

import numpy as np
import pytest

from cmb_toolkit.lessons.brains import brain_of
from cmb_toolkit.windows import screening
from cmb_toolkit.windows.draw import draw
from cmb_toolkit.windows.screening import FIRST, STEP, WINDOW, answers, build, load, look, scores

SPACING = (0.8, 0.8, 2.0)


def brain(shape, places=(), seed=0, level=0.0):
    """Noise, black where said."""
    swi = np.random.default_rng(seed).normal(100, level, shape).astype(np.float32)
    for place in places:
        swi[tuple(place)] = 0
    return brain_of(swi, None, np.ones(shape, bool), SPACING, np.array(places, float).reshape(-1, 3))


@pytest.fixture(scope="module")
def model():
    return build(3)


def test_parameters(model):
    assert sum(int(np.prod(v.shape)) for v in model.trainable_variables) == 229_700
    assert model.count_params() == 229_700


def test_dense_is_windows(model):
    run, one = answers(model), brain((27, 34, 13), level=20)
    found = scores(run, one)
    filled = np.pad(one.channels, [(30, 30)] * 3 + [(0, 0)]).astype(np.float32)
    random = np.random.default_rng(1)
    places = [tuple(random.integers(found.shape)) for _ in range(20)]
    middles = np.array(places) * STEP + FIRST
    starts = (middles - (np.array(WINDOW) - 1) / 2 + 30).astype(int)
    windows = np.stack([filled[i : i + 16, j : j + 16, k : k + 10] for i, j, k in starts])
    np.testing.assert_allclose(run(windows).ravel(), [found[place] for place in places], atol=1e-5)
    assert found.std() > 1e-3


def _towards(image):
    """Stands for a network that answers by how near to a window's middle it is dark."""
    grids = np.meshgrid(*(np.arange(side) - (side - 1) / 2 for side in WINDOW), indexing="ij")
    weight = np.exp(-(grids[0] ** 2 + grids[1] ** 2 + (grids[2] / 0.6) ** 2) / (2 * 1.5**2))
    views = np.lib.stride_tricks.sliding_window_view(image[0, ..., 0], WINDOW)[::2, ::2, ::2]
    return np.clip(np.einsum("abcijk,ijk->abc", -np.minimum(views, 0), weight), 0, 1)[None].astype(np.float32)


@pytest.mark.parametrize("shape", [(30, 33, 12), (31, 32, 13)])
def test_an_impulse_is_found_where_it_was_planted(shape, monkeypatch):
    monkeypatch.setattr(screening, "_TILE", 8)
    places = [(9, 8, 3), (20, 21, 6), (0, 15, 0), (shape[0] - 1, 27, shape[2] - 1)]
    found, values = look(_towards, brain(shape, places), separation_mm=3, most=10)
    assert len(found) == len(places)
    assert (values > 0.1).all()
    for place in places:
        away = np.abs(found[np.abs(found - place).sum(1).argmin()] - place)
        assert (away[:2] <= 0.5).all()
        assert away[2] == 0


def test_half_of_the_windows_have_a_microbleed_in_their_middle():
    places = [(20, 20, 6), (30, 12, 5)]
    mined = [np.array([[8.0, 30.0, 6.0]])]
    images, labels = draw([brain((40, 40, 12), places)], mined, 40, WINDOW, np.random.default_rng(0))
    assert images.shape == (40, *WINDOW, 1)
    assert labels.sum() == 20
    dark = images[..., 0] < -0.4
    assert dark[labels == 1][:, 5:11, 5:11, 4:6].any(axis=(1, 2, 3)).all()
    assert not dark[labels == 0][:, 5:11, 5:11, 4:6].any()
    again = draw([brain((40, 40, 12), places)], mined, 40, WINDOW, np.random.default_rng(0))
    assert np.array_equal(images, again[0])


def test_its_file(model, tmp_path):
    from cmb_toolkit.lessons.network_file import save

    save(model, tmp_path / "network.npz")
    window = np.random.default_rng(0).normal(0, 0.2, (1, *WINDOW, 1)).astype(np.float32)
    np.testing.assert_allclose(load(tmp_path / "network.npz")(window), answers(model)(window), atol=1e-6)
