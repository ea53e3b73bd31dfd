"""The second stages of earlier work: as many parameters as published or computed from what is published."""

import keras
import numpy as np
import pytest

from cmb_toolkit.classifiers import CLASSIFIERS
from cmb_toolkit.stage2 import networks
from cmb_toolkit.stage2.rivals import BothSides, Middle


@pytest.mark.parametrize(("name", "parameters"), [("dou", 1_364_338), ("chen", 244_009), ("liu", 244_233)])
def test_parameters(name, parameters):
    with keras.StatelessScope():  # nothing is allocated
        model = networks.build(name)
    assert sum(int(np.prod(v.shape)) for v in model.trainable_variables) == parameters
    size = CLASSIFIERS[name].size
    assert model.input_shape == (None, size, 2 * size, size, 1)
    assert model.output_shape == (None, 2)


@pytest.mark.parametrize(("slices", "channels"), [(8, 1), (16, 2)])
def test_the_middle_keeps_the_candidate_in_its_middle(slices, channels):
    patches = np.random.default_rng(0).random((2, 16, 32, 16, 1)).astype(np.float32)
    seen = (np.asarray(Middle(slices, channels)(patches)) + 2) / 4
    assert seen.shape == (2, 16, 16, slices, channels)
    np.testing.assert_allclose(seen[:, 8, 8, slices // 2, 0], patches[:, 8, 8, 8, 0], atol=1e-6)
    if channels == 2:
        np.testing.assert_allclose(seen[:, 8, 8, slices // 2, 1], patches[:, 8, 24, 8, 0], atol=1e-6)


def test_one_probability_becomes_two():
    np.testing.assert_allclose(BothSides()(np.array([[0.25], [1.0]], np.float32)), [[0.75, 0.25], [0, 1]])
