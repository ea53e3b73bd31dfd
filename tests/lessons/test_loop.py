"""A training that mines, of a network of three numbers."""

import numpy as np
import pytest

from cmb_toolkit.errors import DataError
from cmb_toolkit.lessons import loop
from cmb_toolkit.lessons.brains import Brain
from cmb_toolkit.lessons.recipe import MinedTraining

RECIPE = MinedTraining(steps=20, batch=2, mined=(0.3, 0.7))


def brain(*marks):
    mask = np.ones((8, 8, 4), bool)
    return Brain(
        np.zeros((*mask.shape, 1), np.float16), mask, np.array(marks, float).reshape(-1, 3), (1, 1, 2), (0, 0, 0)
    )


def pupil():
    from cmb_toolkit.backend import keras

    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)], name="three")
    optimizer = keras.optimizers.Adam(0.01)
    optimizer.build(model.trainable_variables)
    model.compile(optimizer, "mse", run_eagerly=False, jit_compile=False)

    def draw(mined, rng):
        x = rng.normal(size=(4, 2)).astype(np.float32) + sum(map(len, mined))
        return x, x.sum(axis=1, keepdims=True)

    def learn(x, y):
        return float(model.train_on_batch(x, y, return_dict=True)["loss"])

    def look(brain):
        return np.array([[2.0, 2, 1], [2, 4, 1], [7, 7, 3], [0, 7, 3]]), np.array([0.9, 0.8, 0.7, 0.01], np.float32)

    return loop.Pupil(model, optimizer, draw, learn, look)


def _into(steps):
    return lambda done, total, what: steps.append(done)


def test_a_killed_training_ends_in_the_same_weights(tmp_path, monkeypatch):
    monkeypatch.setattr(loop, "_CHECKPOINT", 8)
    monkeypatch.setattr(loop, "_NOTED", 4)
    brains, path = [brain((2, 2, 1)), brain()], tmp_path / "state.npz"
    whole = pupil()
    history = loop.train(whole, brains, RECIPE)
    assert history["step"].tolist() == [4, 8, 12, 16, 20]
    # of the four places one is too unsure, and in the first brain two are too near its microbleed
    assert history["mined"].tolist() == [0, 4, 4, 4, 4]

    def die(done, total, what):
        if done == 11:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        loop.train(pupil(), brains, RECIPE, checkpoint=path, key="a", on_progress=die)
    for key, first in (("b", 1), ("a", 9)):
        steps, again = [], pupil()
        kept = path.read_bytes()
        loop.train(again, brains, RECIPE, checkpoint=path, key=key, on_progress=_into(steps))
        assert steps[0] == first, "a checkpoint of another training is not used"
        path.write_bytes(kept)
    for one, other in zip(whole.model.get_weights(), again.model.get_weights(), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)


def test_it_says_when_it_looks_at_all_scans():
    said = []
    loop.train(pupil(), [brain((2, 2, 1))], RECIPE, on_progress=lambda done, total, what: said.append((done, what)))
    assert [(done, what) for done, what in said if not what.startswith("loss")] == [
        (6, "looking at 1 scan"),
        (14, "looking at 1 scan"),
    ]
    assert len(said) == 22


def test_what_cannot_be_learned_is_said():
    with pytest.raises(DataError, match="no microbleed"):
        loop.train(pupil(), [brain()], RECIPE)
    one = pupil()
    object.__setattr__(one, "learn", lambda x, y: float("nan"))
    with pytest.raises(DataError, match="loss of step 1 is not finite"):
        loop.train(one, [brain((2, 2, 1))], RECIPE)
