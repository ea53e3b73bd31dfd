"""SIGKILL of a real Darknet, of cmbtk, and of both: at the start, in the middle of a save, after the last iteration."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from cmb_toolkit.darknet.binary import BinaryEngine
from cmb_toolkit.darknet.cfg import read_cfg
from cmb_toolkit.darknet.engine import TrainingOptions
from cmb_toolkit.darknet.find import probe
from cmb_toolkit.darknet.weights import read_weights

ALEXEYAB = Path(os.environ.get("CMBTK_TEST_DARKNET", Path(__file__).parents[2] / "darknet" / "build" / "darknet"))

pytestmark = [
    pytest.mark.darknet,
    pytest.mark.skipif(not os.access(ALEXEYAB, os.X_OK), reason="no AlexeyAB Darknet: run `make darknet`"),
]

# 28 MB of weights that cost next to nothing to compute, so that there is time to kill in a save
HEAVY = """
[net]
width=64
height=64
channels=3
batch=2
subdivisions=1
max_batches=12
learning_rate=0.0001
momentum=0.9
decay=0.0005
flip=0
[convolutional]
filters=16
size=3
stride=4
pad=1
activation=leaky
[maxpool]
size=4
stride=4
[convolutional]
batch_normalize=1
filters=1024
size=1
stride=1
activation=leaky
[convolutional]
batch_normalize=1
filters=768
size=3
stride=1
pad=1
activation=leaky
[convolutional]
filters=6
size=1
stride=1
activation=linear
[region]
anchors=1,1
num=1
classes=1
softmax=1
jitter=0
"""

FIRST_AND_LAST = ("yolo_1.weights", "yolo_2.weights", "yolo_final.weights")

TRAIN = """
import sys
from pathlib import Path
from cmb_toolkit.darknet.binary import BinaryEngine
from cmb_toolkit.darknet.engine import TrainingOptions
from cmb_toolkit.darknet.find import probe
project, out, scratch, darknet = map(Path, sys.argv[1:])
options = TrainingOptions(seed=3, scratch=scratch, checkpoint_every_s=1e-9)
BinaryEngine(probe(darknet)).train(project, out, options, lambda done, total, what: print(done, flush=True))
"""


def children(parent: int) -> list[int]:
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rsplit(")", 1)[1].split()
        except OSError:
            continue
        if int(fields[1]) == parent:
            found.append(int(stat.parent.name))
    return found


def has_come(when: str, process: int, scratch: Path, size: int) -> bool:
    """Whether it is the moment to kill."""
    backup = scratch / "darknet" / "backup"
    if when == "start":
        return backup.is_dir() and bool(children(process))
    try:
        sizes = {path.name: path.stat().st_size for path in backup.glob("*.weights")}
    except OSError:
        return False
    if when == "save":
        # not the first one: there is to be a checkpoint
        return any(0 < written < size for name, written in sizes.items() if name not in FIRST_AND_LAST)
    return "yolo_final.weights" in sizes


@pytest.mark.parametrize("whom", ["darknet", "cmbtk", "both"])
@pytest.mark.parametrize("when", ["start", "save", "end"])
def test_a_killed_training_ends_at_the_same_iteration(toy_project, tmp_path, whom, when):
    project = toy_project(cfg=HEAVY, count=4)
    cfg = read_cfg(project / "yolo.cfg")
    out, scratch = tmp_path / "yolo.weights", tmp_path / "training"
    call = [sys.executable, "-c", TRAIN, *map(str, (project, out, scratch, ALEXEYAB))]
    with subprocess.Popen(call, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
        deadline = time.monotonic() + 120
        while not has_come(when, process.pid, scratch, cfg.weights_bytes) and process.poll() is None:
            assert time.monotonic() < deadline
            time.sleep(0.0005)
        darknets = children(process.pid)
        for victim in {"darknet": darknets, "cmbtk": [process.pid], "both": [*darknets, process.pid]}[whom]:
            try:
                os.kill(victim, signal.SIGKILL)
            except ProcessLookupError:  # it was quicker
                assert when == "end"
        told = process.stderr.read().decode()
        process.wait()
    if when != "end":
        assert process.returncode != 0
        assert not out.exists()
        assert whom != "darknet" or "Run the same command again to go on from iteration" in told
    begun: list[int] = []
    history = BinaryEngine(probe(ALEXEYAB)).train(
        project,
        out,
        TrainingOptions(seed=3, scratch=scratch, checkpoint_every_s=1e-9),
        lambda done, total, what: begun.append(done) if "going on" in what else None,
    )
    weights = read_weights(out, cfg)
    assert weights.seen == 12 * cfg.net.batch
    assert out.stat().st_size == cfg.weights_bytes
    assert history["iteration"].is_unique
    assert history["iteration"].is_monotonic_increasing
    if when == "save":
        assert begun
        assert begun[0] >= 1, "what was saved before is gone on from"
