"""What Darknet reads and writes: network files, weights, labels, image lists, results, checkpoints."""

from __future__ import annotations

import math
import struct
from pathlib import Path
from typing import Any

import numpy as np
from tiny_network import LAYERS

from cmb_toolkit.darknet.cfg import Cfg, parse_cfg, read_cfg
from cmb_toolkit.darknet.images import read_image
from cmb_toolkit.darknet.output import parse_test, parse_valid
from cmb_toolkit.darknet.project import CFG, check_project, write_project
from cmb_toolkit.darknet.samples import read_boxes
from cmb_toolkit.darknet.state import Checkpoint, TrainingState
from cmb_toolkit.darknet.weights import Weights, initial_weights, read_weights, write_weights

from .damage import ODD, bytes_damaged, json_damaged, nothing, one_of, place_damaged, text_damaged
from .kind import Kind, Mutant

__all__ = ["KINDS", "NETWORK"]

Random = np.random.Generator

NETWORK = (
    """[net]
width=64
height=64
channels=3
batch=4
subdivisions=1
learning_rate=0.01
momentum=0.9
decay=0.0005
burn_in=5
max_batches=60
policy=steps
steps=40,50
scales=.1,.1

"""
    + LAYERS
    + """[region]
anchors=1.2,1.2,2.5,2.5
num=2
classes=1
coords=4
softmax=1
jitter=.2
object_scale=5
noobject_scale=1
class_scale=1
coord_scale=1
thresh=.6
random=0
"""
)
"""Small, with every kind of layer."""

_NUMBERS = (
    "inf", "-inf", "nan", "1e9", "1000000000", "1e18", "9" * 400, "1e400", "100000", "-1", "-1000000000", "0", "1.5",
    "1e-300", "1,2", "nan,nan", "inf,-1", "40,inf", "1," * 50_000 + "1", "4294967296", "2147483647", "32", "64", "3",
)  # fmt: skip


# -- network files ----------------------------------------------------------------------------------------------


def _make_cfg(folder: Path) -> None:
    (folder / CFG).write_text(NETWORK)


def _mutate_cfg(random: Random, originals: Path, folder: Path) -> Mutant:
    path, rights = folder / CFG, nothing
    lines = NETWORK.split("\n")
    kind = one_of(random, ["value"] * 8 + ["lose", "lose", "add", "text", "bytes", "place"])
    content = NETWORK.encode()
    if kind == "value":
        done = []
        for _ in range(int(random.integers(1, 3))):
            at = one_of(random, [n for n, line in enumerate(lines) if "=" in line])
            key = lines[at].partition("=")[0]
            lines[at] = f"{key}={one_of(random, _NUMBERS) if random.random() < 0.7 else one_of(random, ODD)}"
            done.append(lines[at][:40])
        content, what = "\n".join(lines).encode(), ", ".join(done)
    elif kind == "lose":
        at = one_of(random, [n for n, line in enumerate(lines) if "=" in line])
        what = f"without {lines.pop(at)}"
        content = "\n".join(lines).encode()
    elif kind == "add":
        section = one_of(random, ["[shortcut]", "[net]", "[region]", "[route]\nlayers=inf", "[yolo]", "[]"])
        at = int(random.integers(len(lines)))
        lines.insert(at, section * int(one_of(random, [1, 1, 200])))
        content, what = "\n".join(lines).encode(), f"{section!r} in line {at + 1}"
    elif kind == "text":
        content, what = text_damaged(NETWORK, random)
    elif kind == "bytes":
        content, what = bytes_damaged(content, random)
    path.write_bytes(content)
    if kind == "place":
        what, rights = place_damaged(path, random)

    def read() -> Cfg:
        with rights():
            return read_cfg(path)

    return Mutant(what, read, path, _wrong_cfg)


def _wrong_cfg(cfg: Cfg) -> str:
    numbers: list[float] = []
    for part in (cfg.net, *cfg.layers):
        for value in vars(part).values():
            flat = np.ravel(np.array(value, object)) if isinstance(value, tuple) else [value]
            numbers += [float(x) for x in flat if isinstance(x, int | float)]
    if not all(math.isfinite(number) for number in numbers):
        return "a number is not finite"
    if cfg.weights_bytes > 2 << 30:
        return f"weights of {cfg.weights_bytes:g} bytes"
    largest = max(math.prod(shape) for shape in ((cfg.net.channels, cfg.net.height, cfg.net.width), *cfg.shapes))
    if 4 * largest * cfg.net.minibatch > 64 << 30:
        return f"a layer's output of {4.0 * largest * cfg.net.minibatch:g} bytes"
    rates = [cfg.net.rate(n) for n in (1, 30, 60)]
    return "" if all(math.isfinite(rate) for rate in rates) else "a learning rate that is not finite"


# -- weights ----------------------------------------------------------------------------------------------------


def _make_weights(folder: Path) -> None:
    write_weights(Weights(initial_weights(parse_cfg(NETWORK), 1).layers, seen=240), folder / "yolo.weights")


def _mutate_weights(random: Random, originals: Path, folder: Path) -> Mutant:
    content = (originals / "yolo.weights").read_bytes()
    path, rights, partial = folder / "yolo.weights", nothing, bool(random.integers(4) == 0)
    kind = one_of(random, ["bytes", "bytes", "header", "value", "value", "cut", "place"])
    if kind == "bytes":
        content, what = bytes_damaged(content, random)
    elif kind == "header":
        content, what = bytes_damaged(content, random, within=20)
    elif kind == "value":
        at = 20 + 4 * int(random.integers((len(content) - 20) // 4))
        value = one_of(random, [float("nan"), float("inf"), -float("inf"), 1e38, 1e-45, -1e30])
        content = content[:at] + struct.pack("<f", value) + content[at + 4 :]
        what = f"the number at byte {at} is {value:g}"
    elif kind == "cut":
        at = int(random.integers(len(content)))
        content, what = content[:at], f"cut after {at} bytes"
    path.write_bytes(content)
    if kind == "place":
        what, rights = place_damaged(path, random)
    cfg = parse_cfg(NETWORK)

    def read() -> Weights:
        with rights():
            return read_weights(path, cfg, partial=partial)

    def wrong(weights: Weights) -> str:
        if not weights.is_finite() or weights.seen < 0:
            return "not finite"
        if any(layer.variance is not None and (layer.variance < 0).any() for layer in weights.layers):
            return "a variance below 0"
        numbers = sum(array.size for layer in weights.layers for array in layer.arrays())
        if not partial and len(content) != 4 * numbers + 20:
            return f"{len(content)} bytes for {numbers} numbers"
        return ""

    return Mutant(what + " (partial)" * partial, read, path, wrong)


# -- labels, as they are read for a training ---------------------------------------------------------------------

_LABEL = "0 0.500000 0.250000 0.200000 0.312500\n0 0.100000 0.700000 0.156250 0.156250\n"


def _make_nothing(folder: Path) -> None:
    """The mutants need no files."""


def _mutate_label(random: Random, originals: Path, folder: Path) -> Mutant:
    path, rights = folder / "sub-001_slice-005.txt", nothing
    content = _LABEL.encode()
    kind = one_of(random, ["cell"] * 5 + ["text", "bytes", "bytes", "place"])
    if kind == "cell":
        rows = [line.split(" ") for line in _LABEL.splitlines()]
        row, column = int(random.integers(2)), int(random.integers(5))
        rows[row][column] = one_of(random, (*ODD, "0.99", "1.0", "1e-9", "0.001"))
        content, what = "".join(" ".join(r) + "\n" for r in rows).encode(), f"row {row}: {rows[row][column][:40]!r}"
    elif kind == "text":
        content, what = text_damaged(_LABEL, random)
    elif kind == "bytes":
        content, what = bytes_damaged(content, random)
    path.write_bytes(content)
    if kind == "place":
        what, rights = place_damaged(path, random)

    def read() -> Any:
        with rights():
            return read_boxes(path, 64)

    def wrong(boxes: Any) -> str:
        low, high = boxes[:, :2] - boxes[:, 2:4] / 2, boxes[:, :2] + boxes[:, 2:4] / 2
        if not np.isfinite(boxes).all() or (low < -1e-4).any() or (high > 1 + 1e-4).any():
            return "a box outside the image"
        rows = [line for line in content.decode("utf-8", "replace").replace("\r", "\n").split("\n") if line.split()]
        if kind != "place" and len(boxes) != len(rows):
            return f"{len(boxes)} boxes of {len(rows)} lines"
        plain = all(set(row) <= set("0123456789.e+- \t") for row in rows)
        return "" if plain or kind == "place" else "characters that no number has"

    return Mutant(what, read, path, wrong)


# -- the project folder -----------------------------------------------------------------------------------------


def _make_project(folder: Path) -> None:
    import cv2

    source = folder / "source"
    source.mkdir()
    random = np.random.default_rng(1)
    images = {}
    for k in range(4):
        path = source / f"sub-001_slice-{k:03d}.png"
        cv2.imwrite(str(path), random.integers(0, 255, (64, 64, 3)).astype(np.uint8))
        path.with_suffix(".txt").write_text(_LABEL if k % 2 else "")
        images[path.stem] = path
    write_project(folder / "darknet", cfg=NETWORK, images=images)


def _mutate_project(random: Random, originals: Path, folder: Path) -> Mutant:
    import shutil

    project, rights = folder / "darknet", nothing
    shutil.copytree(originals / "darknet", project)
    files = sorted(path for path in project.rglob("*") if path.is_file())
    path = one_of(random, files)
    text = path.suffix not in (".png", ".weights")
    kind = one_of(random, ["text", "text", "bytes", "bytes", "place"] if text else ["bytes", "bytes", "place"])
    if kind == "place":
        what, rights = place_damaged(path, random)
    elif kind == "text":
        content, what = text_damaged(path.read_text(), random)
        path.write_bytes(content)
    else:
        content, what = bytes_damaged(path.read_bytes(), random)
        path.write_bytes(content)

    def read() -> Any:
        with rights():
            check_project(project)
            if path.suffix == ".png":
                return read_image(path, 64, 64)
            return None

    def wrong(image: Any) -> str:
        if image is None:
            return ""
        return "" if image.shape == (64, 64, 3) else f"an image of {image.shape}"

    return Mutant(f"{path.relative_to(project)}: {what}", read, None, wrong)


# -- what a Darknet writes --------------------------------------------------------------------------------------

_VALID = "".join(f"sub-001_slice-{k:03d} 0.{k + 1}23456 10.5 20.25 30.5 44.0\n" for k in range(6))
_TEST = """[
{
 "frame_id":1,
 "filename":"slices/sub-001_slice-000.png",
 "objects": [
  {"class_id":0, "name":"microbleed",
   "relative_coordinates":{"center_x":0.4, "center_y":0.5, "width":0.1, "height":0.2}, "confidence":0.7}
 ]
},
{
 "frame_id":2,
 "filename":"slices/sub-001_slice-001.png",
 "objects": [
 ]
}
]
"""


def _mutate_output(random: Random, originals: Path, folder: Path) -> Mutant:
    test = bool(random.integers(2))
    text = _TEST if test else _VALID
    kind = one_of(random, ["value", "value", "text", "bytes"])
    if kind == "value" and test:
        content, what = json_damaged(text, random)
    elif kind == "value":
        cells = text.split(" ")
        at = int(random.integers(len(cells)))
        cells[at] = one_of(random, ODD)
        content, what = " ".join(cells).encode(), f"cell {at} is {cells[at][:40]!r}"
    elif kind == "text":
        content, what = text_damaged(text, random)
    else:
        content, what = bytes_damaged(text.encode(), random)
    said = content.decode("latin-1")

    def read() -> Any:
        if test:
            return [one.box for _, boxes in parse_test(said, 64, 64, "results.json") for one in boxes]
        return [box for boxes in parse_valid(said, "results.json").values() for box in boxes]

    def wrong(boxes: Any) -> str:
        # an untrained network's boxes may be infinite: what matters is that a confidence is none above 1 or none
        if not all(0 <= box.confidence <= 1 for box in boxes):
            return "a confidence that is none"
        return ""

    return Mutant(f"{'test' if test else 'valid'}: {what}", read, Path("results.json"), wrong)


# -- the state of a training ------------------------------------------------------------------------------------


def _make_state(folder: Path) -> None:
    cfg = parse_cfg(NETWORK)
    first = Checkpoint(0, initial_weights(cfg, 1))
    state = TrainingState(folder / "training", cfg, first, "embedded", "x")
    for iteration in range(1, 9):
        state.record(iteration, 10.0 / iteration, float(iteration))
    buffers = [np.zeros((3, 3), np.float32), np.ones(4, np.float32)]
    state.save(4, initial_weights(cfg, 2), buffers)
    state.save(8, initial_weights(cfg, 3), buffers)


def _mutate_state(random: Random, originals: Path, folder: Path) -> Mutant:
    import shutil

    training = folder / "training"
    shutil.copytree(originals / "training", training)
    path = one_of(random, sorted(path for path in training.iterdir() if path.is_file()))
    kind = one_of(random, ["bytes", "bytes", "bytes", "place", "text"])
    if kind == "place":
        what, _ = place_damaged(path, random)
    elif kind == "text" and path.suffix not in (".weights", ".npz"):
        content, what = text_damaged(path.read_text(), random)
        path.write_bytes(content)
    else:
        content, what = bytes_damaged(path.read_bytes(), random)
        path.write_bytes(content)
    cfg = parse_cfg(NETWORK)

    def read() -> TrainingState:
        return TrainingState(training, cfg, Checkpoint(0, initial_weights(cfg, 1)), "embedded", "x")

    def wrong(state: TrainingState) -> str:
        if not state.start.weights.is_finite() or state.start.iteration not in (0, 4, 8):
            return "goes on from weights that are not finite"
        buffers = state.start.optimiser or []
        if not all(np.isfinite(buffer).all() for buffer in buffers):
            return "goes on with an optimiser that is not finite"
        losses = [row.loss for row in state.rows]
        return "" if all(map(math.isfinite, losses)) else "a history that is not finite"

    return Mutant(f"{path.name}: {what}", read, None, wrong)


KINDS = (
    Kind("cfg", _make_cfg, _mutate_cfg, share=4.0),
    Kind("weights", _make_weights, _mutate_weights, share=2.0),
    Kind("labels", _make_nothing, _mutate_label, share=2.0),
    Kind("project", _make_project, _mutate_project, share=2.0),
    Kind("darknet-output", _make_nothing, _mutate_output, share=1.0),
    Kind("checkpoints", _make_state, _mutate_state, share=1.5),
)
