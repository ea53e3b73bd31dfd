import json
import zipfile

import h5py
import keras
import numpy as np
import pytest
import tensorflow as tf

from cmb_toolkit.classifiers import CLASSIFIERS
from cmb_toolkit.errors import DataError, MissingError, UsageError
from cmb_toolkit.io.publish import Record, publish
from cmb_toolkit.stage2 import networks
from cmb_toolkit.stage2.keras_file import read_network


def trainable(model):
    return sum(int(np.prod(v.shape)) for v in model.trainable_variables)


def test_parameters_of_the_papers_network():
    model = networks.build("paper")
    assert trainable(model) == 1_355_450
    assert model.count_params() == 1_355_450 + 128  # moving mean and variance beside each scale and shift
    assert sum(isinstance(layer, keras.layers.Conv3D) for layer in model.layers) == 5
    assert sum(isinstance(layer, keras.layers.Dense) for layer in model.layers) == 3
    assert sum(isinstance(layer, networks.MaxPool) for layer in model.layers) == 2


@pytest.mark.parametrize(("name", "low"), [("paper", -2.0), ("channel", -2.0), ("paper-literal", 0.0)])
def test_the_first_convolution_sees_the_input_centred(name, low):
    model = networks.build(name)
    first = next(layer for layer in model.layers if isinstance(layer, keras.layers.Conv3D))
    seen = keras.Model(model.input, first.input)
    patches = np.zeros((1, 16, 32, 16, 1), np.float32)
    patches[:, 8:] = 1
    values = np.asarray(seen.predict_on_batch(patches))
    assert values.min() == low
    assert values.max() == (2.0 if low else 1.0)
    kept = {layer.momentum for layer in model.layers if hasattr(layer, "momentum")}
    assert kept == {0.9 if low else 0.99}


def test_files_from_before_the_input_was_centred_are_refused(tmp_path):
    """The same numbers would mean another network."""
    old = networks._paper("paper", 0, 16, networks.DepthBN, centred=False)
    networks.save(old, tmp_path / "cnn.keras")
    with pytest.raises(DataError, match=r"a version that did not centre the input.*stage2-train"):
        networks.load(read_network(tmp_path / "cnn.keras"))


def test_parameters_of_the_variants():
    assert trainable(networks.build("channel")) == 1_356_154
    assert trainable(networks.build("small")) < 100_000


# the residual networks are slow to build; they are of the same layers
@pytest.mark.parametrize("name", [name for name in networks.NETWORKS if name not in ("chen", "liu")])
def test_networks_give_probabilities_and_are_saved_whole(name, tmp_path):
    model = networks.build(name, seed=3)
    size = CLASSIFIERS[name].size
    patches = np.random.default_rng(0).random((2, size, 2 * size, size, 1)).astype(np.float32)
    before = np.asarray(model.predict_on_batch(patches))
    assert before.shape == (2, 2)
    assert np.allclose(before.sum(axis=1), 1, atol=1e-5)
    networks.save(model, tmp_path / "cnn.keras")
    again = networks.load(read_network(tmp_path / "cnn.keras"))
    assert again.name == model.name
    assert np.array_equal(np.asarray(again.predict_on_batch(patches)), before)


def test_equal_seeds_give_equal_networks():
    a, b, c = (networks.build("small", seed).get_weights() for seed in (1, 1, 2))
    assert all(np.array_equal(x, y) for x, y in zip(a, b, strict=True))
    assert not all(np.array_equal(x, y) for x, y in zip(a, c, strict=True))


def test_depth_bn_is_batch_norm_over_the_last_spatial_axis():
    rng = np.random.default_rng(0)
    x = rng.normal(2, 3, (4, 3, 5, 6, 7)).astype(np.float32)
    dy = rng.normal(0, 1, x.shape).astype(np.float32)
    ours, theirs = networks.DepthBN(), keras.layers.BatchNormalization(axis=3, dtype="float64")
    results = []
    for layer, dtype in ((ours, tf.float32), (theirs, tf.float64)):
        given = tf.constant(x, dtype)
        with tf.GradientTape() as tape:
            tape.watch(given)
            y = layer(given, training=True)
            loss = tf.reduce_sum(y * tf.constant(dy, dtype))
        results.append([y, *tape.gradient(loss, [given, layer.gamma, layer.beta])])
        results[-1].append(layer(given, training=False))  # moving statistics after one step
    for a, b in zip(*results, strict=True):
        assert np.allclose(a, b, rtol=1e-4, atol=1e-4)
    assert ours.gamma.shape == (6,)
    # by hand: each depth has mean 0 and variance 1
    y = results[0][0].numpy()
    assert np.allclose(y.mean(axis=(0, 1, 2, 4)), 0, atol=1e-5)
    assert np.allclose(y.var(axis=(0, 1, 2, 4)), 1, atol=1e-3)


@pytest.mark.parametrize("eager", [False, True])
def test_pooling_pays_the_gradient_once_even_to_ties(eager):
    rng = np.random.default_rng(0)
    # few values, so that most blocks have ties, as after ReLU
    x = rng.integers(0, 3, (2, 4, 6, 8, 3)).astype(np.float32)
    dy = rng.random((2, 2, 3, 4, 3)).astype(np.float32) + 0.5
    pool = networks.MaxPool()

    def gradient(x, dy):
        with tf.GradientTape() as tape:
            tape.watch(x)
            loss = tf.reduce_sum(pool(x) * dy)
        return pool(x), tape.gradient(loss, x)

    y, dx = (gradient if eager else tf.function(gradient))(tf.constant(x), tf.constant(dy))
    blocks = x.reshape(2, 2, 2, 3, 2, 4, 2, 3).transpose(0, 1, 3, 5, 7, 2, 4, 6).reshape(2, 2, 3, 4, 3, 8)
    paid = dx.numpy().reshape(2, 2, 2, 3, 2, 4, 2, 3).transpose(0, 1, 3, 5, 7, 2, 4, 6).reshape(2, 2, 3, 4, 3, 8)
    assert ((blocks == blocks.max(axis=-1, keepdims=True)).sum(axis=-1) > 1).mean() > 0.5
    assert np.array_equal(y, blocks.max(axis=-1))
    assert np.allclose(paid.sum(axis=-1), dy)
    assert (paid[blocks < blocks.max(axis=-1, keepdims=True)] == 0).all()


def test_gradients_of_training_agree_with_finite_differences():
    """The whole small network in graph mode: ties, pooling and batch norm included."""
    model = networks.build("small", seed=0)
    rng = np.random.default_rng(0)
    x = np.round(rng.random((4, 16, 32, 16, 1)), 1).astype(np.float32)
    x[:2] = 0.5  # flat patches: ties everywhere
    y = np.eye(2, dtype=np.float32)[[0, 1, 0, 1]]
    kernel = model.trainable_variables[0]

    @tf.function
    def loss_and_gradient():
        with tf.GradientTape() as tape:
            inner = x
            for layer in model.layers[1:]:  # dropout would change between two calls
                if not isinstance(layer, keras.layers.Dropout):
                    inner = layer(inner, training=True)
            loss = -tf.reduce_mean(tf.reduce_sum(tf.math.log(inner) * y, axis=1))
        return loss, tape.gradient(loss, kernel.value)

    gradient = loss_and_gradient()[1].numpy()
    start = kernel.numpy()
    direction = gradient / np.linalg.norm(gradient)
    step = 2e-3
    sides = []
    for sign in (1, -1):
        kernel.assign(start + sign * step * direction)
        sides.append(float(loss_and_gradient()[0]))
    assert (sides[0] - sides[1]) / (2 * step) == pytest.approx(np.linalg.norm(gradient), rel=0.05)


def test_blocks_lose_nothing():
    x = np.random.default_rng(0).random((2, 16, 32, 16, 1)).astype(np.float32)
    y = networks.Blocks()(x).numpy() + 0.5
    assert y.shape == (2, 8, 8, 16, 8)
    assert np.allclose(np.sort(y.ravel()), np.sort(x.ravel()), atol=1e-6)
    # one coarse voxel: 2 x 2 fine ones, of SWI and phase in turn
    fine = [x[1, 6 + a, 10 + b + half, 7, 0] for a in (0, 1) for b in (0, 1) for half in (0, 16)]
    assert np.allclose(y[1, 3, 5, 7], fine, atol=1e-6)


def test_unknown_network():
    with pytest.raises(UsageError, match=r"resnet.*paper, channel, small"):
        networks.build("resnet")


def test_files_that_are_no_network(tmp_path):
    with pytest.raises(MissingError, match=r"cnn\.keras.*stage2-train"):
        networks.load(read_network(tmp_path / "cnn.keras"))
    (tmp_path / "cnn.keras").write_bytes(b"PK not really")
    with pytest.raises(DataError, match=r"cnn\.keras.*not a readable"):
        networks.load(read_network(tmp_path / "cnn.keras"))
    other = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
    other.save(tmp_path / "cnn.keras")
    with pytest.raises(DataError, match=r"a network called 'sequential.*known are paper-centred, .*small"):
        networks.load(read_network(tmp_path / "cnn.keras"))


# -- files that would do harm -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """The parts of a small network's file."""
    path = tmp_path_factory.mktemp("saved") / "cnn.keras"
    networks.save(networks.build("small"), path)
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def packed(path, parts):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return path


def numbers(change, saved, path):
    """The network's numbers after a change, in place of its own."""
    file = path.with_name("changed.h5")
    file.write_bytes(saved["model.weights.h5"])
    with h5py.File(file, "r+") as opened:
        change(opened)
    return packed(path, saved | {"model.weights.h5": file.read_bytes()})


def test_a_description_is_never_built(saved, tmp_path):
    """Whatever layers it names, of whatever size: nothing of it is made, and its code does not run."""
    description = json.loads(saved["config.json"])
    harm = {"class_name": "Lambda", "module": "keras.layers", "config": {"function": "os.system('touch hacked')"}}
    huge = {"class_name": "Dense", "module": "keras.layers", "config": {"name": "d", "units": 10**9}}
    foreign = {"class_name": "System", "module": "os", "config": {}}
    description["config"]["layers"] = [harm, huge, foreign]
    path = packed(tmp_path / "cnn.keras", saved | {"config.json": json.dumps(description)})
    assert networks.load(read_network(path)).count_params() < 100_000


@pytest.mark.parametrize(
    ("part", "content", "says"),
    [
        ("config.json", b"[" * 100_000, "RecursionError"),
        ("config.json", b" " * (2 << 20), "at most"),
        ("model.weights.h5", bytes(200 << 20), "at most"),
        ("config.json", b'{"config": {"name": "../../paper"}}', "known are"),
        ("config.json", b"[]", "not a readable"),
        ("model.weights.h5", b"not HDF5", "not a readable"),
        ("model.weights.h5", b"", "not a readable"),
        ("../../hacked", b"x", "expected metadata.json"),
    ],
)
def test_parts_that_are_not_what_they_should_be(saved, tmp_path, part, content, says):
    with pytest.raises(DataError, match=says):
        networks.load(read_network(packed(tmp_path / "cnn.keras", saved | {part: content})))


def huge(file):
    del file["layers/dense/vars/0"]
    file["layers/dense/vars"].create_dataset("0", (10**6, 10**6), "f4", chunks=(1000, 1000), compression="gzip")


def outside(file):
    del file["layers/dense/vars/0"]
    file["layers/dense/vars/0"] = h5py.ExternalLink("/etc/hostname", "/")


def external(file):
    shape = file["layers/dense/vars/0"].shape
    del file["layers/dense/vars/0"]
    file["layers/dense/vars"].create_dataset("0", shape, "f4", external=[("/dev/zero", 0, h5py.h5f.UNLIMITED)])


def around(file):
    file["layers/dense/again"] = file["layers"]


def not_finite(file):
    file["layers/dense/vars/0"][3, 4] = np.nan


def lacking(file):
    del file["layers/dense_1/vars/1"]


@pytest.mark.parametrize("change", [huge, outside, external, around, not_finite, lacking])
def test_numbers_that_are_not_the_networks(saved, tmp_path, change):
    with pytest.raises(DataError, match=r"cnn\.keras.*numbers"):
        networks.load(read_network(numbers(change, saved, tmp_path / "cnn.keras")))


def test_a_network_that_was_changed_since_it_was_written_is_noticed(tmp_path):
    target = tmp_path / "cnn.keras"
    with publish(target, Record("stage2-train", {})) as path:
        networks.save(networks.build("small", 1), path)
    networks.load(read_network(target))
    networks.save(networks.build("small", 2), target)
    with pytest.raises(DataError, match=r"changed since it was written.*cnn\.json"):
        networks.load(read_network(target))
