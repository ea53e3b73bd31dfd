"""One training at a time on a GPU."""

import pytest

from cmb_toolkit.darknet import gpu as module
from cmb_toolkit.darknet.gpu import chosen_gpu, gpu_lock
from cmb_toolkit.errors import UsageError

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
