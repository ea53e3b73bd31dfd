"""How long every engine on this machine takes to train and to detect, side by side in one run.

    python benchmarks/engines.py --cfg yolov2-paper --images 16 --iterations 3
    python benchmarks/engines.py --cfg small --images 64 --iterations 20 --darknet /usr/bin/darknet
    python benchmarks/engines.py --cfg yolov2-paper --images 72 --iterations 0

Random images of the network's size; augmentation is the cfg's, but for input sizes drawn anew (random=1), which begin
with the largest and would stand for all in a short run. Training is measured between the second and the last
iteration, so that loading and the first compilation do not count; detection in a process of its own, from its start to
the last box, as a user waits for it: seconds by the clock, seconds of all processors together (which other work on the
machine disturbs less) and the most memory. Ratios are to the first line of the same run. OpenCV's importer is a peer
that nobody here wrote.
"""

from __future__ import annotations

import argparse
import os
import platform
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from cmb_toolkit.darknet.binary import BinaryEngine
from cmb_toolkit.darknet.cfg import Cfg, parse_cfg, read_cfg
from cmb_toolkit.darknet.embedded import EmbeddedEngine
from cmb_toolkit.darknet.engine import Engine, TrainingOptions
from cmb_toolkit.darknet.find import find_darknet, probe
from cmb_toolkit.darknet.images import in_files
from cmb_toolkit.darknet.looking import Looking, looking
from cmb_toolkit.darknet.project import CFG, TRAIN_LIST, read_list, set_net, write_project
from cmb_toolkit.darknet.weights import Weights, initial_weights, write_weights
from cmb_toolkit.errors import CmbError
from cmb_toolkit.model import BOX_SIZE

CFGS = Path(__file__).resolve().parents[1] / "cfg"


def processor() -> str:
    """What it is called."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.machine())


def make_project(folder: Path, text: str, count: int) -> Path:
    """Images of noise with one box each."""
    net = parse_cfg(text).net
    random = np.random.default_rng(0)
    images = {}
    for k in range(count):
        path = folder / f"sub-001_slice-{k:03d}.png"
        cv2.imwrite(str(path), random.integers(0, 256, (net.height, net.width, 3), dtype=np.uint8))
        size = BOX_SIZE / net.width
        path.with_suffix(".txt").write_text(f"0 {random.uniform(0.2, 0.8):.6f} 0.5 {size:.6f} {size:.6f}\n")
        images[path.stem] = path
    write_project(folder / "project", cfg=text, images=images)
    return folder / "project"


def quiet_weights(cfg: Cfg) -> Weights:
    """Random ones that find next to nothing: how long many boxes take to thin out is another matter."""
    layers = []
    for layer in initial_weights(cfg, 0).layers:
        # of untrained networks the variances are 0, which makes numbers overflow
        layers.append(layer if layer.variance is None else replace(layer, variance=np.ones_like(layer.variance)))
    biases = layers[-1].biases.copy()
    biases[4 :: 5 + cfg.region.classes] = -10
    return Weights((*layers[:-1], replace(layers[-1], biases=biases)))


def train(engine: Engine, project: Path, folder: Path) -> float:
    """Seconds per image."""
    history = engine.train(project, folder / "out", TrainingOptions(scratch=folder / "training"), lambda *_: None)
    images = history["images"].iloc[-1] - history["images"].iloc[0]
    return float((history["seconds"].iloc[-1] - history["seconds"].iloc[0]) / images)


class Time(NamedTuple):
    """What a process took: seconds an image by the clock and of all processors, and its most memory [MB]."""

    wall: float
    cpu: float
    memory: float


def detect(engine: str, project: Path, weights: Path) -> Time:
    """Detect in a process of its own, loading included."""
    started = time.monotonic()
    process = subprocess.Popen([sys.executable, __file__, "--one", engine, str(project), str(weights)])
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.monotonic() - started
    if status:
        raise SystemExit(f"{engine} could not detect")
    images = len(read_list(project / TRAIN_LIST))
    return Time(wall / images, (usage.ru_utime + usage.ru_stime) / images, usage.ru_maxrss / 1024)


def detect_here(engine: str, project: Path, weights: Path) -> None:
    """What that process does."""
    images = [project / line for line in read_list(project / TRAIN_LIST)]
    if engine == "OpenCV":
        by_opencv(project, weights, images)
    else:
        ENGINES.get(engine, lambda: BinaryEngine(probe(Path(engine))))().detect(
            project, weights, in_files(images, read_cfg(project / CFG)), threshold=0.5, nms=0.45,
            on_progress=lambda *_: None,
        )  # fmt: skip


def by_opencv(project: Path, weights: Path, images: list[Path]) -> None:
    """OpenCV's importer, one image after the other; it makes boxes by itself."""
    net = cv2.dnn.readNetFromDarknet(str(project / "yolo.cfg"), str(weights))
    size = read_cfg(project / "yolo.cfg").net
    for image in images:
        pixels = cv2.imread(str(image))
        assert pixels is not None
        net.setInput(cv2.dnn.blobFromImage(pixels, 1 / 255, (size.width, size.height), swapRB=True))
        net.forward()


ENGINES: dict[str, Callable[[], Engine]] = {
    "embedded": lambda: EmbeddedEngine(looks=looking()),
    "embedded, Keras": lambda: EmbeddedEngine(looks=Looking("keras")),
    "embedded, bf16": lambda: EmbeddedEngine(looks=looking("bf16")),
}


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cfg", default="small", help="small, yolov2-paper, yolov2-released, or a file")
    parser.add_argument("--images", type=int, default=32)
    parser.add_argument("--iterations", type=int, default=10)
    parser.add_argument("--batch", type=int, help="images per iteration, in one part")
    parser.add_argument("--darknet", type=Path, action="append", default=[], help="a further binary; may be repeated")
    chosen = parser.parse_args()
    path = CFGS / f"{chosen.cfg}.cfg"
    text = (path if path.is_file() else Path(chosen.cfg)).read_text()
    # adam=1 is for GPUs only in Darknet; it costs next to nothing
    values: dict[str, object] = {"max_batches": chosen.iterations, "adam": 0, "learning_rate": 1e-6}
    if chosen.batch:
        values |= {"batch": chosen.batch, "subdivisions": 1}
    text = re.sub(r"^random=.*", "random=0", set_net(text, values), flags=re.MULTILINE)
    binaries = [probe(darknet.resolve()) for darknet in chosen.darknet]
    try:
        binaries.insert(0, find_darknet())
    except CmbError as error:
        print(error)
    cfg = parse_cfg(text)
    print(f"{processor()}, {len(os.sched_getaffinity(0))} processors", end="; ")
    print(f"{chosen.cfg}: {cfg.net.width} x {cfg.net.height} px, {cfg.flops / 1e9:.1f} GFLOP, batch {cfg.net.batch}")
    with tempfile.TemporaryDirectory() as temporary:
        project = make_project(Path(temporary), text, chosen.images)
        weights = Path(temporary) / "weights"
        write_weights(quiet_weights(cfg), weights)
        names = ["embedded", "embedded, Keras", *(["embedded, bf16"] if "bf16" in computes() else []), "OpenCV"]
        called = {**dict(zip(names, names, strict=True)), **{f"{b.flavour}, {b.path}": str(b.path) for b in binaries}}
        first: Time | None = None
        for name, engine in called.items():
            taken = detect(engine, project, weights)
            first = first or taken
            print(
                f"  detection, {name}: {taken.wall:.3f} s an image ({taken.wall / first.wall:.2f} x), "
                f"{taken.cpu:.3f} s of processors ({taken.cpu / first.cpu:.2f} x), {taken.memory:.0f} MB"
            )
    base = 0.0
    trainers: dict[str, Engine] = {"embedded": EmbeddedEngine(), **{f"{b.flavour}": BinaryEngine(b) for b in binaries}}
    for name, trainer in trainers.items() if chosen.iterations else ():
        with tempfile.TemporaryDirectory() as temporary:
            try:
                image_s = train(trainer, make_project(Path(temporary), text, chosen.images), Path(temporary))
            except CmbError:
                print(f"  training, {name}: impossible")
                continue
        base = base or image_s
        print(f"  training, {name}: {image_s:.3f} s an image ({image_s / base:.1f} x)")


def computes() -> tuple[str, ...]:
    """Precisions of this processor."""
    from cmb_toolkit.darknet.openvino_network import precisions

    return precisions()


if __name__ == "__main__":
    if sys.argv[1:2] == ["--one"]:
        detect_here(sys.argv[2], Path(sys.argv[3]), Path(sys.argv[4]))
    else:
        main()
