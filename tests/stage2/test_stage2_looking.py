"""Networks of stage 2 in OpenVINO against the same in Keras, and what chooses between them."""

import subprocess
import sys

import numpy as np
import pytest
from scipy.special import expit, logit

from cmb_toolkit import device
from cmb_toolkit.classifiers import CLASSIFIERS
from cmb_toolkit.errors import DataError
from cmb_toolkit.stage2 import networks
from cmb_toolkit.stage2.batches import in_batches
from cmb_toolkit.stage2.keras_file import read_network
from cmb_toolkit.stage2.looking import Looking, looking
from cmb_toolkit.stage2.skill import spread


def lively(model, seed=1):
    """Numbers with which every layer matters and no output is all 0 or 1."""
    random = np.random.default_rng(seed)
    for weight in model.weights:
        if "variance" in weight.path:
            weight.assign(random.uniform(0.5, 2, weight.shape))
        elif len(weight.shape) > 1:
            last = 0.1 if weight.shape[-1] <= 2 else 1
            weight.assign(random.normal(0, last * (2 / np.prod(weight.shape[:-1])) ** 0.5, weight.shape))
        else:
            weight.assign(random.normal(1 if "gamma" in weight.path else 0, 0.2, weight.shape))
    return model


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    path = tmp_path_factory.mktemp("looking") / "cnn.keras"
    networks.save(lively(networks.build("small")), path)
    return path


@pytest.mark.parametrize("name", list(CLASSIFIERS))
def test_the_same_probabilities_as_keras(name, tmp_path):
    model = lively(networks.build(name))
    networks.save(model, tmp_path / "cnn.keras")
    looks = looking(tmp_path / "cnn.keras")
    assert looks.engine.startswith("openvino 2")
    random = np.random.default_rng(0)
    patches = random.random((5, looks.size, 2 * looks.size, looks.size), dtype=np.float32)
    ours, theirs = (logit(in_batches(run, patches)) for run in (looks.classifier(), networks.answers(model)))
    assert spread(expit(theirs)) > 0.05
    np.testing.assert_allclose(ours, theirs, atol=1e-3)


def test_batches_of_any_size_give_the_same_and_again(small):
    classifier = looking(small).classifier()
    patches = np.random.default_rng(0).random((11, 16, 32, 16), dtype=np.float32)
    whole = in_batches(classifier, patches)
    assert np.array_equal(whole, in_batches(looking(small).classifier(), patches))
    np.testing.assert_allclose(in_batches(classifier, patches, batch=4), whole, atol=1e-6)


def test_nothing_of_keras_is_imported(small):
    code = (
        "import sys; from pathlib import Path; from cmb_toolkit.stage2.looking import looking\n"
        "looking(Path(sys.argv[1])).classifier(); print({'keras', 'tensorflow', 'torch'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code, str(small)], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


@pytest.mark.parametrize(
    "set_up",
    [
        lambda patch: patch.setenv("KERAS_BACKEND", "tensorflow"),
        lambda patch: patch.setattr(device, "on_gpu", lambda: True),
        lambda patch: patch.setattr(device, "is_there", lambda name: name != "openvino"),
        lambda patch: patch.setitem(CLASSIFIERS, "small", CLASSIFIERS["small"].__class__("module:name", "small")),
    ],
    ids=["backend chosen", "on a GPU", "not installed", "a network for Keras alone"],
)
def test_keras_looks_where_it_should(monkeypatch, small, set_up):
    set_up(monkeypatch)
    assert looking(small).engine.startswith("keras ")


@pytest.mark.parametrize("package", ["openvino", "keras"])
@pytest.mark.parametrize("change", ["lacking", "another shape", "too many"])
def test_numbers_of_another_network(small, package, change):
    file = read_network(small)
    arrays = dict(file.arrays)
    if change == "lacking":
        del arrays["layers/dense_1/vars/1"]
    elif change == "another shape":
        arrays["layers/conv3d/vars/0"] = arrays["layers/conv3d/vars/0"][..., :-1]
    else:
        arrays["layers/dense_2/vars/0"] = np.zeros((2, 2), np.float32)
    changed = file.__class__(file.path, file.network, file.numbers, arrays)
    with pytest.raises(DataError, match=r"cnn\.keras: its numbers are not those of the network small\. Train"):
        Looking(changed, package).classifier()
