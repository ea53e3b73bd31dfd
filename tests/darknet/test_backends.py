"""The embedded engine computes the same on PyTorch and JAX as on TensorFlow.

`make test-torch` and `make test-jax` run all its tests there.
"""

import os
import subprocess
import sys
from importlib.util import find_spec

import numpy as np
import pytest

OTHERS = [
    pytest.param(name, marks=pytest.mark.skipif(find_spec(name) is None, reason=f"it is not installed (`{make}`)"))
    for name, make in {"torch": "make test-torch", "jax": "make test-jax"}.items()
]

STEPS = """
import sys
import numpy as np
from cmb_toolkit.darknet.cfg import parse_cfg
from cmb_toolkit.darknet.training import Trainer
from cmb_toolkit.darknet.weights import initial_weights
from cmb_toolkit.darknet.network import detector

cfg = parse_cfg(open(sys.argv[1]).read())
random = np.random.default_rng(0)
trainer = Trainer(cfg, initial_weights(cfg, 1))
images = random.integers(0, 256, (cfg.net.batch, cfg.net.height, cfg.net.width, 3), dtype=np.uint8)
truths = np.zeros((cfg.net.batch, 2, 5), np.float32)
truths[:, 0, :4] = random.uniform(0.2, 0.8, (cfg.net.batch, 4)) * [1, 1, 0.3, 0.3]
losses = [trainer.step(images, truths, n + 1) for n in range(5)]
weights = trainer.network.get_weights()
output = detector(cfg, weights, cfg.net.batch)(images)
np.savez(sys.argv[2], losses, output, *(array for layer in weights.layers for array in layer.arrays()))
"""


@pytest.mark.parametrize("backend", OTHERS)
@pytest.mark.parametrize("adam", [0, 1])
def test_steps_of_training_and_detection_are_tensorflows(tmp_path, toy_cfg, adam, backend):
    cfg = tmp_path / "toy.cfg"
    cfg.write_text(toy_cfg.replace("[net]\n", f"[net]\nadam={adam}\n"))
    got = {}
    for computes in ("tensorflow", backend):
        result = tmp_path / f"{computes}.npz"
        call = [sys.executable, "-c", STEPS, str(cfg), str(result)]
        subprocess.run(call, env=os.environ | {"KERAS_BACKEND": computes}, check=True)
        got[computes] = np.load(result)
    first, second = got.values()
    assert first.files == second.files
    for name in first.files:
        np.testing.assert_allclose(second[name], first[name], rtol=2e-3, atol=2e-3)
