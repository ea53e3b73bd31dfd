"""2D networks on windows: as many parameters as published, and what they see lies where it should."""

from types import SimpleNamespace

import keras
import numpy as np
import pytest

from cmb_toolkit.lessons.brains import brain_of
from cmb_toolkit.windows import planar, sliding
from cmb_toolkit.windows.draw import windows_of
from cmb_toolkit.windows.recipe import SlidingTraining

SPACING = (0.8, 0.8, 2.0)
PLACES = [(9, 8, 2), (22, 25, 4), (1, 33, 0)]


class _Counting:
    """Stands for Keras: layers count their trainable parameters, and build nothing."""

    def __init__(self):
        self.count, self.layers = 0, self

    def _layer(self, channels, count):
        def call(x):
            first = x[0] if isinstance(x, list) else x
            self.count += count(first.shape[-1])
            return SimpleNamespace(shape=(channels(x),))

        return call

    def _conv(self, filters, kernel, *, use_bias, **_):
        return self._layer(lambda x: filters, lambda width: filters * (kernel**2 * width + use_bias))

    def __getattr__(self, name):
        return {
            "Input": lambda shape: SimpleNamespace(shape=shape),
            "Model": lambda image, answer, name: SimpleNamespace(count=self.count),
            "Conv2D": self._conv,
            "Dense": lambda units: self._layer(lambda x: units, lambda width: units * (width + 1)),
            "BatchNormalization": lambda **_: self._layer(lambda x: x.shape[-1], lambda width: 2 * width),
            "Concatenate": lambda: self._layer(lambda x: sum(part.shape[-1] for part in x), lambda width: 0),
            "Add": lambda: self._layer(lambda x: x[0].shape[-1], lambda width: 0),
        }.get(name, lambda *_, **__: self._layer(lambda x: x.shape[-1], lambda width: 0))


def _tiny():
    return [
        planar._densenet("a", 8, 7, (1, 2), 4, 3),
        planar._resnet("b", 8, 3, ((4, 2), (4, 1)), 3),
    ]


def test_parameters(monkeypatch):
    with keras.StatelessScope():  # nothing is allocated
        real = [sum(int(np.prod(v.shape)) for v in model.trainable_variables) for model in _tiny()]
    counts = {}
    for name, build in [*planar.BUILDERS.items(), ("tiny", None)]:
        counting = _Counting()
        monkeypatch.setattr(planar, "keras", counting)
        monkeypatch.setattr(planar, "layers", counting)
        counts[name] = [each.count for each in ([build(3)] if build else _tiny())]
    first, both = counts.pop("tiny")
    assert [first, both - first] == real, "it counts as Keras does"
    assert {name: count for name, (count,) in counts.items()} == {
        "densenet-full": 18_096_770,
        "densenet-small": 122_306,
        "resnet-full": 23_538_690,
        "resnet-small": 105_762,
    }


@pytest.fixture
def brain():
    """Noise with black disks."""
    swi = np.random.default_rng(0).normal(100, 2, (36, 40, 6)).astype(np.float32)
    for i, j, k in PLACES:
        swi[max(i - 1, 0) : i + 2, j - 1 : j + 2, k] = 0
    return brain_of(swi, None, np.ones(swi.shape, bool), SPACING, np.array(PLACES, float))


def test_a_window_has_its_voxel_in_its_middle(brain):
    windows = windows_of(brain, np.array(PLACES), (11, 11, 3))
    assert windows.shape == (3, 11, 11, 3, 1)
    for window, place in zip(windows, PLACES, strict=True):
        assert window[5, 5, 1, 0] == brain.channels[(*place, 0)]
    assert (windows[2][:4] == 0).all(), "beyond the brain there is nothing"


def _dark(windows):
    """Stands for a network that answers by how dark the middle and its neighbours are."""
    away = np.arange(windows.shape[1]) - windows.shape[1] // 2
    weight = np.exp(-(away[:, None] ** 2 + away**2) / 8)
    return np.clip((-np.minimum(windows[..., 1], 0) * weight).sum(axis=(1, 2)) / 6, 0, 1).astype(np.float32)


@pytest.mark.parametrize("places", ["maxima", "dense"])
@pytest.mark.parametrize("slices", ["one", "three"])
def test_what_it_sees_lies_where_it_was_planted(brain, places, slices, monkeypatch):
    monkeypatch.setattr(sliding, "_SURE", 0.2)
    recipe = SlidingTraining(places=places, slices=slices)
    found, values = sliding.look(_dark, recipe, 11, brain, separation_mm=3, most=50)
    assert (np.diff(values) <= 0).all()
    sure = found[:3].astype(int)
    within = 0 if places == "dense" else 1
    for place in PLACES:
        assert (np.abs(sure - place).max(axis=1) <= within).any()
