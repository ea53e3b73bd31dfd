"""How long every engine on this machine takes to train and to detect, side by side in one run.

    python benchmarks/engines.py --cfg yolov2-paper --images 16 --iterations 3
    python benchmarks/engines.py --cfg small --images 64 --iterations 20 --darknet /usr/bin/darknet

Random images of the network's size; augmentation is the cfg's, but for input sizes drawn anew (random=1), which begin
with the largest and would stand for all in a short run. Training is measured between the second and the last
iteration, so that loading and the first compilation do not count; detection from start to end, with loading, as a user
waits for it. Ratios are to the embedded engine in the same run.
"""

from __future__ import annotations

import argparse
import os
import platform
import re
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np

from cmb_toolkit.darknet.binary import BinaryEngine
from cmb_toolkit.darknet.cfg import Cfg, parse_cfg
from cmb_toolkit.darknet.embedded import EmbeddedEngine
from cmb_toolkit.darknet.engine import Engine, TrainingOptions
from cmb_toolkit.darknet.find import find_darknet, probe
from cmb_toolkit.darknet.project import read_list, set_net, write_project
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
    stems = list(images)
    write_project(folder / "project", cfg=text, images=images, train=stems, valid=[], slices=stems)
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


def detect(engine: Engine, project: Path, weights: Path) -> float:
    """Seconds per slice, loading included."""
    started = time.monotonic()
    images = read_list(project / "slices.txt")
    engine.detect(project, weights, images, threshold=0.5, nms=0.45, on_progress=lambda *_: None)
    return (time.monotonic() - started) / len(images)


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
    engines: dict[str, Engine] = {"embedded": EmbeddedEngine()}
    binaries = [probe(darknet) for darknet in chosen.darknet]
    try:
        binaries.insert(0, find_darknet())
    except CmbError as error:
        print(error)
    for binary in binaries:
        engines[f"{binary.flavour}, {'GPU' if binary.cuda else 'CPU'}"] = BinaryEngine(binary)
    cfg = parse_cfg(text)
    print(f"{processor()}, {len(os.sched_getaffinity(0))} processors", end="; ")
    print(f"{chosen.cfg}: {cfg.net.width} x {cfg.net.height} px, {cfg.flops / 1e9:.1f} GFLOP, batch {cfg.net.batch}")
    rows: dict[str, tuple[float | None, float]] = {}
    for name, engine in engines.items():
        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(temporary)
            project = make_project(folder, text, chosen.images)
            write_weights(quiet_weights(cfg), folder / "weights")
            slice_s = detect(engine, project, folder / "weights")
            try:
                rows[name] = train(engine, project, folder), slice_s
            except CmbError:
                rows[name] = None, slice_s
            print(f"  {name}: {describe(rows[name], rows['embedded'])}")


def describe(row: tuple[float | None, float], base: tuple[float | None, float]) -> str:
    """Both times, and how often the embedded engine's they are."""
    parts = []
    for what, mine, ours in zip(("training", "detection"), row, base, strict=True):
        if mine is None or ours is None:
            parts.append(f"{what} impossible")
        else:
            parts.append(f"{what} {mine:.3f} s an image ({mine / ours:.1f} x embedded)")
    return ", ".join(parts)


if __name__ == "__main__":
    main()
