import numpy as np
import pytest

from cmb_toolkit.errors import DataError, UsageError
from cmb_toolkit.keras_settings import keras_engine
from cmb_toolkit.stage2 import networks
from cmb_toolkit.stage2.batches import in_batches
from cmb_toolkit.stage2.recipe import Scheduled
from cmb_toolkit.stage2.skill import auc
from cmb_toolkit.stage2.training import (
    NoSkillError,
    _State,
    class_weight,
    train,
    train_until_skilled,
)

QUICK = Scheduled(epochs=4, batch=10, augmentation="drawn", copies=(2, 1))


class KilledError(Exception):
    pass


def die_after(steps):
    def on_progress(done, total, what):
        if done > steps:
            raise KilledError

    return on_progress


def dead(model):
    """The same with no unit left in its hidden layer."""
    dense = next(layer for layer in model.layers if layer.__class__.__name__ == "Dense")
    kernel, bias = dense.get_weights()
    dense.set_weights([kernel, bias - 1e6])
    return model


def same(a, b):
    return all(np.array_equal(x, y) for x, y in zip(a.get_weights(), b.get_weights(), strict=True))


def test_small_network_learns_balls_from_tubes(make_patches):
    model = networks.build("small", 0)
    training, validation, test = make_patches(90, 1), make_patches(30, 2), make_patches(60, 3)
    calls = []
    recipe = Scheduled(epochs=4, batch=30, learning_rate=2e-3, augmentation="in-plane", copies=(4, 2))
    history = train(model, training, validation, recipe, on_progress=lambda *call: calls.append(call))
    probability = in_batches(networks.answers(model), test[0], batch=32)
    assert auc(test[1], probability) > 0.95
    assert list(history["epoch"]) == [1, 2, 3, 4]
    assert history["val_loss"][history["best"]].iloc[-1] == history["val_loss"].min()
    assert history["best"].iloc[0]
    done, total, what = calls[-2]
    assert done == total == 4 * 8
    assert what.startswith("epoch 4/4, loss ")


def test_the_rate_rises_over_the_first_steps_and_no_longer_than_an_epoch():
    recipe = Scheduled(learning_rate=0.1, warm_up=4)
    assert np.allclose([recipe.rate(step, 100) for step in range(6)], [0.025, 0.05, 0.075, 0.1, 0.1, 0.1])
    assert np.allclose([recipe.rate(step, 2) for step in range(3)], [0.05, 0.1, 0.1])
    assert Scheduled(learning_rate=0.1, warm_up=0).rate(0, 100) == 0.1


def test_the_rate_falls_to_nothing_at_the_end_by_a_cosine():
    recipe = Scheduled(epochs=2, learning_rate=0.1, decay="cosine", warm_up=2)
    assert np.allclose([recipe.rate(step, 4) for step in (0, 4, 6)], [0.05, 0.05, 0.1 * (1 - np.sqrt(0.5)) / 2])
    assert 0 < recipe.rate(7, 4) < 0.004


def test_the_loss_of_an_epoch_is_the_mean_of_its_steps(make_patches):
    model, seen = networks.build("small", 0), []
    step = model.train_on_batch

    def told(*given, **options):
        result = step(*given, **options)
        seen.append(result["loss"])
        return result

    model.train_on_batch = told
    history = train(model, make_patches(12, 1), make_patches(6, 2), Scheduled(epochs=2, batch=4, copies=(1, 1)))
    assert np.allclose(history["loss"], np.reshape(seen, (2, 3)).mean(axis=1))
    assert np.ptp(seen) > 0.01


def test_units_that_answer_to_nothing_are_counted_as_dead(make_patches):
    model = networks.build("paper", 0)
    patches = make_patches(4, 0)[0]
    dense = [layer for layer in model.layers if layer.__class__.__name__ == "Dense"]
    kernel, bias = dense[1].get_weights()
    bias[:] = -1e6
    bias[2] = 1e6
    dense[1].set_weights([kernel, bias])
    assert networks.live_units(model, patches)[1] == 1


def test_interrupted_training_ends_like_one_that_was_not(make_patches, tmp_path):
    training, validation = make_patches(30, 1), make_patches(12, 2)
    straight = networks.build("small", 0)
    history = train(straight, training, validation, QUICK)
    checkpoint = tmp_path / "scratch" / "cnn.npz"
    for _ in range(2):  # killed in the third epoch, then started anew and killed in the fourth
        model = networks.build("small", 0)
        with pytest.raises(KilledError):
            train(model, training, validation, QUICK, checkpoint=checkpoint, on_progress=die_after(9 + 4 * _))
    model = networks.build("small", 0)
    done = []
    again = train(model, training, validation, QUICK, checkpoint=checkpoint, on_progress=lambda n, *_: done.append(n))
    assert done[0] > 12  # three of four epochs were not repeated
    assert same(model, straight)
    assert again.equals(history)
    assert [path.name for path in checkpoint.parent.iterdir()] == ["cnn.npz"]


def test_finished_training_can_be_prolonged_but_not_shortened(make_patches, tmp_path):
    training, validation = make_patches(15, 1), make_patches(6, 2)
    checkpoint = tmp_path / "cnn.npz"

    def run(epochs, **change):
        steps = []
        recipe = Scheduled(**{**QUICK.__dict__, "epochs": epochs, **change})
        model = networks.build("small", 0)
        history = train(
            model, training, validation, recipe, checkpoint=checkpoint, on_progress=lambda n, *_: steps.append(n)
        )
        return model, history, len(steps) - 1

    assert run(1)[2] == 2
    longer, history, steps = run(2)
    assert steps == 2
    assert len(history) == 2
    assert run(2)[2] == 0
    assert run(1)[2] == 2  # the checkpoint knows more than one epoch would
    assert run(2, decay="cosine")[2] == 4
    assert run(3, decay="cosine")[2] == 6  # at other rates from its beginning
    fresh, _, steps = run(2, seed=1)
    assert steps == 4  # another training: its own beginning
    assert not same(longer, fresh)


def test_damaged_checkpoint_is_not_used(make_patches, tmp_path):
    checkpoint = tmp_path / "cnn.npz"
    checkpoint.write_bytes(b"PK\x03\x04 half a file")
    history = train(
        networks.build("small", 0),
        make_patches(12, 1),
        make_patches(6, 2),
        Scheduled(epochs=1, batch=12, copies=(1, 1)),
        checkpoint=checkpoint,
    )
    assert len(history) == 1


def test_a_checkpoint_that_is_not_the_trainings_own_is_not_used(make_patches, tmp_path):
    """Numbers that are not finite, or more of them than there could be however small they are packed."""
    checkpoint = tmp_path / "cnn.npz"
    sets = make_patches(12, 1), make_patches(6, 2)

    def steps():
        counted = []
        recipe = Scheduled(epochs=1, batch=12, copies=(1, 1))
        model = networks.build("small", 0)
        train(model, *sets, recipe, checkpoint=checkpoint, on_progress=lambda n, *_: counted.append(n))
        return len(counted) - 1

    assert steps() == 1
    assert steps() == 0, "it is used"
    with np.load(checkpoint) as file:
        whole = dict(file)
    first = whole["best_0"].copy()
    first.flat[0] = np.nan
    for changed in ({"best_0": first}, {"best_0": np.zeros(50_000_000, "f4")}):
        np.savez_compressed(checkpoint, **(whole | changed))
        assert steps() == 1


def test_paper_network_trains_a_step(make_patches):
    model = networks.build("paper", 0)
    before = model.get_weights()
    history = train(model, make_patches(4, 1), make_patches(2, 2), Scheduled(epochs=1, batch=4, copies=(1, 1)))
    assert np.isfinite(history[["loss", "val_loss"]].to_numpy()).all()
    moved = [not np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True)]
    assert np.mean(moved) > 0.9


def test_early_stopping_keeps_the_best_weights(make_patches):
    # what is learned in training is wrong in validation: the longer, the worse
    training, (patches, labels) = make_patches(12, 1), make_patches(12, 1)
    recipe = Scheduled(epochs=30, batch=12, learning_rate=3e-3, augmentation="none", copies=(1, 1), patience=2)
    model = networks.build("small", 0)
    history = train(model, training, (patches, 1 - labels), recipe)
    best = int(history["epoch"][history["best"]].iloc[-1])
    assert len(history) == best + 2 < 30
    probability = in_batches(networks.answers(model), patches)
    right = np.where(labels == 0, probability, 1 - probability)
    weight = np.where(labels == 0, 2, 1)  # the ratio in training, for what is called a microbleed here
    assert np.average(-np.log(right), weights=weight) == pytest.approx(history["val_loss"].min(), rel=1e-4)


def test_predictions_do_not_depend_on_the_batch(make_patches):
    model = networks.build("small", 0)
    patches, _ = make_patches(11, 0)
    done = []
    answers = networks.answers(model)
    whole = in_batches(answers, patches)
    parts = in_batches(answers, patches, batch=4, on_progress=lambda n, total, what: done.append((n, total)))
    assert np.allclose(whole, parts, atol=1e-6)
    assert done == [(4, 11), (8, 11), (11, 11)]
    assert in_batches(answers, patches[:0]).shape == (0,)


def test_class_weight():
    labels = np.array([1, 0, 0, 0])
    assert class_weight(labels, Scheduled()) == 3
    assert class_weight(labels, Scheduled(copies=(6, 1))) == 0.5
    assert class_weight(labels, Scheduled(class_weights="none")) == 1
    assert class_weight(labels, Scheduled(class_weights=12.6)) == 12.6


@pytest.mark.parametrize(("label", "kind"), [(0, "microbleed"), (1, "other")])
def test_one_kind_of_patch_is_refused(make_patches, label, kind):
    patches, _ = make_patches(6, 0)
    with pytest.raises(DataError, match=f"no {kind} patch among the 6"):
        train(networks.build("small"), (patches, np.full(6, label)), make_patches(6, 1), QUICK)


def test_validation_must_allow_a_choice(make_patches):
    nothing = np.empty((0, 16, 32, 16), np.float32), np.empty(0, int)
    with pytest.raises(DataError, match="0 validation patches"):
        train(networks.build("small"), make_patches(6, 0), nothing, QUICK)
    patches, _ = make_patches(6, 1)
    with pytest.raises(DataError, match="6 validation patches, 0 of them microbleeds"):
        train(networks.build("small"), make_patches(6, 0), (patches, np.zeros(6, int)), Scheduled(select="auc"))


def test_divergence_is_reported(make_patches):
    patches, labels = make_patches(6, 0)
    with pytest.raises(DataError, match=r"diverged in epoch 1.*learning rate"):
        train(networks.build("small"), (patches * np.nan, labels), (patches, labels), QUICK)


@pytest.mark.parametrize(
    "wrong",
    [
        {"epochs": 0},
        {"batch": 0},
        {"copies": (0, 1)},
        {"patience": -1},
        {"seed": -1},
        {"learning_rate": 0.0},
        {"learning_rate": float("nan")},
        {"select": "test"},
        {"decay": "fast"},
        {"class_weights": "balanced"},
        {"class_weights": -1.0},
    ],
)
def test_recipes_that_cannot_be(wrong):
    with pytest.raises(UsageError):
        Scheduled(**wrong)


def test_engine_names_versions():
    assert keras_engine().startswith("keras 3.")
    assert "tensorflow 2." in keras_engine()


# --- the paper's networks learn


def balls(n, seed, size=8):
    """Dark balls in the middle, bright on phase, and noise alone, half of each; an eighth of a patch's voxels."""
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % 2
    far = ((np.indices((size,) * 3) - size / 2) ** 2).sum(axis=0)
    ball = labels[:, None, None, None] * np.exp(-far / 6)
    patches = np.concatenate([0.7 - 0.5 * ball, 0.5 + 0.3 * ball], axis=2)
    return np.clip(patches + rng.normal(0, 0.1, patches.shape), 0, 1).astype(np.float32), labels


EASY = Scheduled(epochs=3, batch=8, augmentation="in-plane", copies=(1, 1), warm_up=4)


@pytest.mark.parametrize("name", ["paper", "channel"])
def test_the_papers_network_learns_in_24_steps(name):
    model = networks.build(name, 0, size=8)
    validation = balls(40, 2)
    history = train(model, balls(64, 1), validation, EASY)
    assert history["loss"].iloc[-1] < history["loss"].iloc[0] / 2
    assert history["val_auc"].iloc[-1] > 0.95
    assert min(networks.live_units(model, validation[0])) >= 3


def test_what_the_paper_says_literally_learns_nothing_in_the_same():
    """Its outputs stay at the class prior, whose loss is log 2; their order means nothing."""
    try:
        history = train(networks.build("paper-literal", 0, size=8), balls(64, 1), balls(40, 2), EASY)
    except NoSkillError as error:
        history = error.history
    assert history["val_loss"].min() > 0.6


# --- trainings that learn nothing


def flat(n):
    return np.full((n, 16, 32, 16), 0.5, np.float32), (np.arange(n) % 3 == 0).astype(int)


def test_a_training_that_learns_nothing_is_stopped_after_its_first_epochs():
    recipe = Scheduled(epochs=50, batch=1, augmentation="none", copies=(1, 1))
    with pytest.raises(NoSkillError) as caught:
        train(networks.build("small", 0), flat(30), flat(30), recipe)
    assert str(caught.value).startswith(
        "stage 2 has learned nothing in 4 epochs: the network gives one output for all 30 validation patches (units "
    )
    history = caught.value.history
    assert len(history) == 4, "100 steps of 30 an epoch"
    assert (history["val_spread"] < 1e-3).all()


def test_few_validation_patches_stop_nothing():
    recipe = Scheduled(epochs=4, batch=1, augmentation="none", copies=(1, 1))
    assert len(train(networks.build("small", 0), flat(30), flat(27), recipe)) == 4


def test_the_next_seed_is_tried_and_an_interrupted_one_gone_on_with(make_patches, tmp_path):
    sets = make_patches(60, 1), make_patches(30, 2)
    recipe = Scheduled(epochs=4, batch=20, learning_rate=2e-3, augmentation="in-plane", copies=(2, 1), seed=3)
    built, told, steps = [], [], []

    def build(seed):
        built.append(seed)
        return dead(networks.build("small", seed)) if seed == 3 else networks.build("small", seed)

    def run(on_progress):
        return train_until_skilled(
            build,
            *sets,
            recipe,
            checkpoint=tmp_path / "cnn.npz",
            on_restart=lambda seed, error: told.append((seed, error.why)),
            on_progress=on_progress,
        )

    def killed_in_the_second(done, total, what):
        if len(built) == 2 and done > 13:
            raise KilledError

    with pytest.raises(KilledError):
        run(killed_in_the_second)
    model, history = run(lambda done, *_: steps.append(done))
    assert built == [3, 4, 3, 4]
    assert list(history["seed"]) == [3] * 4 + [4] * 4
    assert list(history["epoch"]) == [1, 2, 3, 4] * 2
    assert steps[0] == 13, "neither the first seed nor three epochs of the second are trained again"
    assert (
        told[0]
        == told[1]
        == (
            3,
            "gives one output for all 30 validation patches (units of its hidden layers that answer to any: 0)",
        )
    )
    assert (
        auc(sets[1][1], in_batches(networks.answers(model), sets[1][0])) == history["val_auc"][history["best"]].iloc[-1]
    )


def test_an_epoch_that_tells_nothing_apart_is_never_the_best():
    """However low its loss: at the class prior it is lower than that of an over-confident one."""
    state = _State(networks.build("small", 0), "", flat(30)[1], 3)
    for loss, area, apart in ((0.69, 0.5, 0.0), (0.9, 0.95, 3.0), (0.6, 0.5, 0.0)):
        state.add(0.7, loss, area, apart, "loss")
    assert [row["best"] for row in state.history] == [True, True, False]
