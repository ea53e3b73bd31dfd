"""How fast networks of the paper's size train and look where Keras computes on a GPU, beside a Darknet in the same run.

    KERAS_BACKEND=jax python benchmarks/on_gpu.py
    KERAS_BACKEND=torch python benchmarks/on_gpu.py --darknet darknet/build/darknet

Everything lies in memory but where it says otherwise; what is compiled is compiled before the clock starts. The middle
of several runs counts. Without a GPU it runs as well, slowly: `--cfg small --images 8`.
"""

from __future__ import annotations

import argparse
import re
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from engines import CFGS, make_project, processor, quiet_weights, train

from cmb_toolkit.darknet.binary import BinaryEngine
from cmb_toolkit.darknet.cfg import Cfg, parse_cfg
from cmb_toolkit.darknet.embedded_detection import at_once, find_boxes
from cmb_toolkit.darknet.find import probe
from cmb_toolkit.darknet.images import in_files
from cmb_toolkit.darknet.network import detector
from cmb_toolkit.darknet.project import TRAIN_LIST, read_list, set_net
from cmb_toolkit.darknet.recipe import Precision
from cmb_toolkit.darknet.training import Trainer
from cmb_toolkit.darknet.weights import initial_weights, write_weights
from cmb_toolkit.device import computes_bf16
from cmb_toolkit.errors import CmbError
from cmb_toolkit.keras_settings import keras_engine


def middle(job: Callable[[], object], times: int, warm: int = 3) -> float:
    """Seconds that a job takes once it is warm, the middle of several."""
    for _ in range(warm):
        job()
    taken = []
    for _ in range(times):
        started = time.perf_counter()
        job()
        taken.append(time.perf_counter() - started)
    return statistics.median(taken)


def trains(cfg: Cfg, side: int, batch: int, precision: Precision) -> float:
    """Images of a side that a training takes a second."""
    trainer = Trainer(cfg, initial_weights(cfg, 1), precision)
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (batch, side, side, 3), dtype=np.uint8)
    truths = np.zeros((batch, 3, 5), np.float32)
    truths[:, 0, :4] = [0.5, 0.4, 20 / side, 20 / side]
    return batch / middle(lambda: trainer.step(images, truths, 1), 20)


def looks(cfg: Cfg, project: Path, precision: Precision) -> tuple[float, float]:
    """Seconds for all images of a project: the network alone, and with their files read and boxes thinned out."""
    size = at_once()
    run = detector(cfg, quiet_weights(cfg), size, precision)
    paths = [project / line for line in read_list(project / TRAIN_LIST)]
    images = in_files(paths, cfg)
    batches = [np.ascontiguousarray(pixels) for _, pixels in images.batches(cfg, size)]
    alone = middle(lambda: [run(batch) for batch in batches], 5)
    return alone, middle(lambda: find_boxes(run, cfg, images, threshold=0.5, nms=0.45, batch=size), 5, 1)


def classifies(count: int) -> tuple[float, float]:
    """Patches a second of the paper's 3D-CNN: classified, and learned from in batches of 50."""
    from cmb_toolkit.backend import COMPILED, keras
    from cmb_toolkit.stage2.batches import in_batches
    from cmb_toolkit.stage2.networks import answers, build

    model = build("paper")
    patches = np.random.default_rng(0).random((count, *model.input_shape[1:4]), dtype=np.float32)
    run = answers(model)
    seen = count / middle(lambda: in_batches(run, patches), 3, 1)
    model.compile(keras.optimizers.Adam(1e-4), "categorical_crossentropy", **COMPILED)
    batch, labels = patches[:50, ..., None], np.eye(2, dtype=np.float32)[np.arange(50) % 2]
    return seen, 50 / middle(lambda: model.train_on_batch(batch, labels, return_dict=True), 20)


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cfg", default="yolov2-short")
    parser.add_argument("--images", type=int, default=72, help="of one subject")
    parser.add_argument("--patches", type=int, default=4096)
    parser.add_argument("--darknet", type=Path, help="a binary to hold it against")
    chosen = parser.parse_args()
    text = (CFGS / f"{chosen.cfg}.cfg").read_text()
    cfg = parse_cfg(text)
    drawing, side = cfg.net.draw, cfg.net.width
    precisions: list[Precision] = ["f32", "bf16"] if computes_bf16() else ["f32"]
    print(f"{keras_engine()}; {processor()}; {chosen.cfg}, {cfg.flops / 1e9:.1f} GFLOP at {side} px", flush=True)

    def said(what: str, value: str) -> None:
        print(f"| {what} | {value} |", flush=True)

    said("", "")
    print("|---|---|")
    whole = parse_cfg(set_net(text, {"batch": 16}))
    for precision in precisions:
        said(f"training, whole images, 16 at a time, {precision}", f"{trains(whole, side, 16, precision):.0f} a second")
        if drawing is not None and drawing.size:
            what = f"training, windows of {drawing.size} px, {cfg.net.batch} at a time, {precision}"
            said(what, f"{trains(cfg, drawing.size, cfg.net.batch, precision):.0f} a second")
    with tempfile.TemporaryDirectory() as temporary:
        project = make_project(Path(temporary), text, chosen.images)
        for precision in precisions:
            alone, read = looks(cfg, project, precision)
            said(f"looking at {chosen.images} images, {precision}", f"{alone:.3f} s; from their files {read:.3f} s")
    if chosen.darknet:
        beside_darknet(chosen.darknet, text, chosen.images, said)
    seen, learned = classifies(chosen.patches)
    said("stage 2, the paper's 3D-CNN, patches", f"{seen:.0f} classified, {learned:.0f} learned from a second")


def beside_darknet(binary: Path, text: str, images: int, said: Callable[[str, str], None]) -> None:
    """The same of a Darknet: its training as it comes, and a subject more or less of a detection."""
    engine = BinaryEngine(probe(binary.resolve()))
    text = re.sub(r"^random=.*", "random=0", set_net(text, {"batch": 16, "max_batches": 150}), flags=re.MULTILINE)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        try:
            rate = f"{1 / train(engine, make_project(folder, text, 256), folder):.0f} a second"
        except CmbError as error:
            rate = str(error)
        said("training, whole images, Darknet", rate)
    cfg = parse_cfg(text)
    taken = []
    for count in (images, 5 * images):
        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(temporary)
            project = make_project(folder, text, count)
            write_weights(quiet_weights(cfg), folder / "weights")
            paths = in_files([project / line for line in read_list(project / TRAIN_LIST)], cfg)
            started = time.perf_counter()
            engine.detect(project, folder / "weights", paths, threshold=0.5, nms=0.45, on_progress=lambda *_: None)
            taken.append(time.perf_counter() - started)
    each = (taken[1] - taken[0]) / 4
    said(f"looking at {images} images, Darknet", f"{each:.2f} s, and {taken[0] - each:.1f} s before the first")


if __name__ == "__main__":
    main()
