"""One training at a time."""

import subprocess
import sys

import pytest

from cmb_toolkit.darknet import lock as module
from cmb_toolkit.darknet.lock import chosen_gpu, gpu_lock, locked
from cmb_toolkit.errors import StorageError, UsageError

HOLD = """
import sys, time
from pathlib import Path
from cmb_toolkit.darknet.lock import locked
with locked(Path(sys.argv[1]), "it"):
    print("held", flush=True)
    time.sleep(60)
"""


def test_the_second_is_refused_until_the_first_has_ended_however(tmp_path):
    path = tmp_path / "new" / "training.lock"
    with subprocess.Popen([sys.executable, "-c", HOLD, str(path)], stdout=subprocess.PIPE) as first:
        assert first.stdout.readline() == b"held\n"
        with pytest.raises(UsageError, match="the cell x is busy with another training"), locked(path, "the cell x"):
            pytest.fail("was given twice")
        first.kill()
    with locked(path, "the cell x"):
        pass
    with locked(path, "the cell x"):
        pass


def test_where_no_lock_can_be_made(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match="lock file"), locked(tmp_path / "file" / "x.lock", "it"):
        pass


LISTED = "0, GPU-aaaa-1\n1, GPU-bbbb-2\n"


@pytest.mark.parametrize(
    ("visible", "listed", "expected"),
    [
        ("", LISTED, "GPU-aaaa-1"),
        ("1", LISTED, "GPU-bbbb-2"),
        ("1,0", LISTED, "GPU-bbbb-2"),
        ("GPU-bbbb-2", LISTED, "GPU-bbbb-2"),
        ("3", "", "3"),
        ("", "", "0"),
        ("MIG-1/2", LISTED, "MIG-1_2"),
    ],
)
def test_the_gpu_that_darknet_takes(visible, listed, expected):
    assert chosen_gpu(visible, listed) == expected


def test_one_training_per_gpu(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_FOLDER", tmp_path)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "5")
    with gpu_lock():
        with pytest.raises(UsageError, match=r"GPU 5 \(another one can be chosen.*busy"), gpu_lock():
            pass
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "6")
        with gpu_lock():
            pass
    assert {path.name for path in tmp_path.iterdir()} == {"cmbtk-gpu-5.lock", "cmbtk-gpu-6.lock"}
