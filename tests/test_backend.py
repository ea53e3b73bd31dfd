"""What somebody has set for Keras elsewhere changes nothing here."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from cmb_toolkit.errors import UsageError
from cmb_toolkit.keras_settings import keras_backend, without_users_settings

LOOK = """
import gc, json, os, sys
from cmb_toolkit.backend import keras
from cmb_toolkit.stage2 import networks
model = networks.build("small")
print(json.dumps([keras.config.floatx(), keras.config.image_data_format(), keras.config.epsilon(),
                  keras.backend.backend(), keras.config.max_epochs(), model.compute_dtype, model.layers[2].data_format,
                  os.environ.get("KERAS_HOME"), "matplotlib" in sys.modules, "sklearn" in sys.modules, gc.isenabled()]))
import matplotlib
"""


def test_the_users_keras_settings_have_no_effect(tmp_path):
    home = tmp_path / ".keras"
    home.mkdir()
    settings = {"image_data_format": "channels_first", "floatx": "float16", "epsilon": 1e-3, "backend": "theano"}
    (home / "keras.json").write_text(json.dumps(settings))
    own = {"HOME": str(tmp_path), "KERAS_HOME": str(home), "KERAS_FLOATX": "float16", "KERAS_MAX_EPOCHS": "1",
           "KERAS_BACKEND": "", "CUDA_VISIBLE_DEVICES": ""}  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-c", LOOK], env=os.environ | own, capture_output=True, text=True, check=True
    )
    assert json.loads(done.stdout) == [
        "float32", "channels_last", 1e-7, "tensorflow", None, "float32", "channels_last", str(home),
        False, False, True,
    ]  # fmt: skip


def test_a_variable_that_keras_would_stumble_over_is_not_seen_by_it(monkeypatch):
    monkeypatch.setenv("KERAS_MAX_EPOCHS", "many")
    monkeypatch.setenv("KERAS_HOME", "/somewhere")
    monkeypatch.setenv("KERAS_BACKEND", "torch")
    with without_users_settings():
        assert "KERAS_MAX_EPOCHS" not in os.environ
        assert not (Path(os.environ["KERAS_HOME"]) / "keras.json").exists()
        assert os.environ["KERAS_BACKEND"] == "torch", "chosen on purpose"
    assert (os.environ["KERAS_MAX_EPOCHS"], os.environ["KERAS_HOME"]) == ("many", "/somewhere")


@pytest.mark.parametrize("wish", [None, "torch"])
def test_what_is_taken_is_left_as_no_wish_of_the_users(monkeypatch, wish):
    """Else what looks at images would be another from the first import of Keras on."""
    monkeypatch.delenv("KERAS_BACKEND", raising=False)
    if wish is not None:
        monkeypatch.setenv("KERAS_BACKEND", wish)
    with without_users_settings():
        assert os.environ["KERAS_BACKEND"] == (wish or "tensorflow")
    assert os.environ.get("KERAS_BACKEND") == wish


def test_an_unknown_backend_is_a_users_mistake(monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", "theano")
    with pytest.raises(UsageError, match="one of tensorflow, torch, jax"):
        keras_backend()
    monkeypatch.setenv("KERAS_BACKEND", "")
    assert keras_backend() == "tensorflow"


def test_the_first_backend_that_is_installed_is_taken(monkeypatch):
    monkeypatch.delenv("KERAS_BACKEND", raising=False)
    for there, taken in (
        ("torch jax", "torch"),
        ("jax", "jax"),
        ("jax torch tensorflow", "tensorflow"),
        ("", "tensorflow"),
    ):
        monkeypatch.setattr("cmb_toolkit.keras_settings.is_there", there.split().__contains__)
        assert keras_backend() == taken
