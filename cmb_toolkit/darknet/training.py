"""Training the embedded network on a project folder with Darknet's update rule.

Per iteration, B images are drawn with replacement, in `subdivisions` minibatches; the negative gradients, summed over
the images, are added to a buffer U. Then, with the rate of :meth:`Net.rate` (iterations count from 1)::

    U = U - decay B w       (kernels only)
    w = w + rate / B U
    U = momentum U

With ``adam=1`` it is Adam as in Darknet's GPU code: the summed gradient (with ``- decay B w`` for all variables), bias-
corrected moments, no division by B, and ``eps`` added after the root.

Everything random is drawn from (seed, iteration), so on a CPU a training that was killed and resumed at a checkpoint
ends with the same weights as one that was not, to the last bit. (A GPU adds up in another order every time.)
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..errors import DataError, UsageError
from ..model import Detection, OnProgress
from ..slices import is_copy
from .cfg import Cfg, read_cfg
from .embedded_detection import at_once, find_boxes
from .engine import OnHistory
from .images import Images
from .mining import mine, read_places, write_places
from .project import CFG, TRAIN_LIST, read_list
from .recipe import Precision
from .samples import Batch, Samples, digest_of_samples
from .state import TrainingState, describe, diverged, first_weights
from .watching import Watch
from .weights import Weights

__all__ = ["Trained", "Trainer", "train_project"]


@dataclass(frozen=True)
class Trained:
    """Result of a training: the weights and one row per iteration (:data:`cmb_toolkit.schema.YOLO_HISTORY`)."""

    weights: Weights
    history: pd.DataFrame


class Trainer:
    """The network with its optimiser.

    Parameters
    ----------
    cfg : Cfg
    weights : Weights
        To begin with, of all layers.
    precision : {"f32", "bf16"}
        As :class:`cmb_toolkit.darknet.network.Network` takes it; gradients and what the optimiser keeps are f32.
    """

    def __init__(self, cfg: Cfg, weights: Weights, precision: Precision = "f32") -> None:
        from .network import Network
        from .tensors import compiled, zeros

        self.cfg = cfg
        self.network = Network(cfg, weights, precision)
        kernels, others = self.network.trainable()
        self._variables = [*kernels, *others]
        self._decays = [True] * len(kernels) + [cfg.net.adam] * len(others)
        copies = 3 if cfg.net.adam else 1  # Adam: gradient, first and second moment
        self._state = [[zeros(v.shape) for v in self._variables] for _ in range(copies)]
        changed = [*self._variables, *(buffer for group in self._state for buffer in group)]
        self._update = compiled(self._adam if cfg.net.adam else self._sgd, changed)
        self._accumulators: dict[tuple[int, int], Any] = {}
        self._outputs: Any = None

    def step(self, images: NDArray[np.uint8], truths: NDArray[np.float32], iteration: int) -> float:
        """One iteration.

        Parameters
        ----------
        images : (batch, height, width, 3) uint8 array
            RGB.
        truths : (batch, boxes, 5) array
            Centre x, y, width, height relative to the image, class; rows of zeros at the end are empty.
        iteration : int
            Counted from 1.

        Returns
        -------
        float
            Darknet's loss: the sum of the squared deltas per image.
        """
        from .tensors import compiled

        net = self.cfg.net
        size = (images.shape[1], images.shape[2])
        if size not in self._accumulators:
            changed = [*self._variables, *self.network.statistics(), *self._state[0]]
            self._accumulators[size] = compiled(self._accumulate, changed)
        accumulate = self._accumulators[size]
        seen = (iteration - 1) * net.batch
        losses = []
        for start in range(0, net.batch, net.minibatch):
            part = slice(start, start + net.minibatch)
            seen += net.minibatch
            losses.append(accumulate(images[part], truths[part], np.int32(seen)))
        self._update(np.float32(net.rate(iteration)), np.float32(iteration))
        return sum(map(float, losses)) / net.batch  # asked for last: a GPU need not wait for it

    def detect(self, images: Images, *, threshold: float, nms: float, most: int | None = None) -> list[Detection]:
        """Find boxes with the network as it is now, as :meth:`cmb_toolkit.darknet.engine.Engine.detect` does."""
        from .tensors import compiled, ops

        if self._outputs is None:
            model = self.network.model()
            self._outputs = compiled(
                lambda x: model(ops.cast(x, "float32") / 255, training=False),
                [*self._variables, *self.network.statistics()],
            )

        def run(batch: NDArray[np.uint8]) -> NDArray[np.float32]:
            return np.asarray(ops.convert_to_numpy(self._outputs(batch)), np.float32)

        return find_boxes(run, self.cfg, images, threshold=threshold, nms=nms, most=most, batch=at_once())

    def _accumulate(self, images: Any, truths: Any, seen: Any) -> Any:
        from .region import region_delta
        from .tensors import gradients, ops

        model = self.network.model((images.shape[1], images.shape[2]))
        x = ops.cast(images, "float32") / 255
        minus_delta, found = gradients(
            lambda: model(x, training=True),
            self._variables,
            lambda output: -region_delta(output, truths, seen, self.cfg.region),
            self.network.statistics(),
        )
        for buffer, gradient in zip(self._state[0], found, strict=True):
            buffer.assign_sub(gradient)
        return ops.sum(minus_delta**2)

    def _sgd(self, rate: Any, iteration: Any) -> None:
        net = self.cfg.net
        for variable, decays, buffer in zip(self._variables, self._decays, self._state[0], strict=True):
            u = buffer - net.decay * net.batch * variable if decays else buffer.value
            variable.assign_add(rate / net.batch * u)
            buffer.assign(net.momentum * u)

    def _adam(self, rate: Any, iteration: Any) -> None:
        from .tensors import ops

        net = self.cfg.net
        correction = 1 - ops.power(net.b1, iteration), 1 - ops.power(net.b2, iteration)
        for variable, d, m, v in zip(self._variables, *self._state, strict=True):
            u = d - net.decay * net.batch * variable
            m.assign(net.b1 * m + (1 - net.b1) * u)
            v.assign(net.b2 * v + (1 - net.b2) * u**2)
            variable.assign_add(rate * (m / correction[0]) / (ops.sqrt(v / correction[1]) + net.eps))
            d.assign(ops.zeros_like(d.value))

    def optimiser_state(self) -> list[NDArray[np.float32]]:
        """What must be kept beside the weights to go on later."""
        from .tensors import ops

        groups = self._state if not self.cfg.net.adam else self._state[1:]
        return [np.array(ops.convert_to_numpy(buffer)) for group in groups for buffer in group]

    def set_optimiser_state(self, arrays: Sequence[NDArray[np.float32]]) -> None:
        groups = self._state if not self.cfg.net.adam else self._state[1:]
        for buffer, array in zip((b for group in groups for b in group), arrays, strict=True):
            buffer.assign(array)


def train_project(  # noqa: PLR0913 (what TrainingOptions holds, by name)
    project: Path,
    *,
    seed: int = 0,
    max_batches: int | None = None,
    weights: Path | None = None,
    count_on: bool = False,
    scratch: Path | None = None,
    checkpoint_every_s: float = 60.0,
    on_progress: OnProgress = lambda done, total, what: None,
    on_history: OnHistory = lambda history: None,
    watch: Watch | None = None,
    precision: Precision = "f32",
) -> Trained:
    """Train the network of a project folder (``yolo.cfg``, ``train.txt``, images with their labels beside them).

    Parameters
    ----------
    project : Path
    seed : int
        Decides the first weights, the images of every iteration and their augmentation.
    max_batches : int, optional
        Iterations in all; by default what the cfg says.
    weights, count_on
        To begin with, see :func:`cmb_toolkit.darknet.state.first_weights`.
    scratch : Path, optional
        Folder where the state is saved every `checkpoint_every_s` seconds, and from where an interrupted training with
        the same settings and images goes on.
    on_progress : callable
        ``on_progress(iteration, max_batches, "loss 1.234 rate 0.001, 64 images")``.
    on_history : callable
        Given the history after each checkpoint.
    watch : Watch, optional
        Looks at the network on the way, and chooses the weights that are returned.
    precision : {"f32", "bf16"}

    Raises
    ------
    DarknetError
        If the loss or the weights are no longer finite; the last good checkpoint stays.
    MissingError, DataError
        If the project is not complete.
    """
    cfg = read_cfg(project / CFG)
    if max_batches is not None:
        cfg = replace(cfg, net=replace(cfg.net, max_batches=max_batches))
    total = cfg.net.max_batches
    if total < 1:
        raise UsageError(f"{project / 'yolo.cfg'}: max_batches={total}; a training needs at least 1 iteration.")
    on_progress(0, total, "reading images")
    if cfg.region.classes != 1:
        raise DataError(
            f"{project / CFG}: classes={cfg.region.classes}; there is one class, microbleed. Set classes=1."
        )
    images = _training_images(project, cfg)
    first = first_weights(cfg, seed, weights, count_on=count_on)
    identity = f"{seed} {digest_of_samples(images)}" + (watch.identity if watch else "")
    identity += "" if precision == "f32" else precision
    state = TrainingState(scratch, cfg, first, "embedded", identity)
    samples = Samples(cfg, images)
    trainer = Trainer(replace(cfg, net=state.net), state.start.weights, precision)
    done = state.start.iteration
    if state.start.optimiser is not None:
        trainer.set_optimiser_state(state.start.optimiser)
    if state.resumed:
        on_progress(done, total, "going on from the checkpoint")
    whole = partial(_finite_weights, project, trainer, state)

    def save(iteration: int) -> None:
        if scratch is not None:
            state.save(iteration, whole(iteration), trainer.optimiser_state())

    def look(iteration: int) -> None:
        if watch is not None and watch.due(iteration):
            save(iteration)
            on_progress(iteration, total, f"looking at {len(watch.images.names)} slices")
            detect = partial(trainer.detect, threshold=watch.threshold, nms=watch.nms, most=watch.most)
            watch.look(iteration, whole(iteration), detect)
            on_history(state.history)

    if watch is not None:
        watch.begin(scratch, cfg, first.iteration, done)
        look(done)  # where it was killed at that
    started = last_save = time.monotonic()
    for iteration, (batch, truths) in enumerate(_batches(project, samples, trainer, state, total, seed), done + 1):
        loss = trainer.step(batch, truths, iteration)
        if not math.isfinite(loss):
            raise diverged(project, f"the loss is {loss} at iteration {iteration}", state)
        now = time.monotonic()
        row = state.record(iteration, loss, now - started)
        said = f", {watch.said}" if watch and watch.said else ""
        on_progress(iteration, total, describe(row) + said)
        if now - last_save >= checkpoint_every_s and iteration < total:
            save(iteration)
            on_history(state.history)
            last_save = time.monotonic()
        look(iteration)
    last = whole(total)
    return Trained(watch.chosen(last) if watch else last, state.history)


def _finite_weights(project: Path, trainer: Trainer, state: TrainingState, iteration: int) -> Weights:
    weights = trainer.network.get_weights(seen=iteration * trainer.cfg.net.batch)
    if not weights.is_finite():
        raise diverged(project, f"weights are not finite after iteration {iteration}", state)
    return weights


def _training_images(project: Path, cfg: Cfg) -> list[Path]:
    """The listed images; of a network that draws its images not the copies, which are for a Darknet."""
    images = [project / line for line in read_list(project / TRAIN_LIST)]
    return [path for path in images if cfg.net.draw is None or not is_copy(path.stem)]


def _batches(
    project: Path, samples: Samples, trainer: Trainer, state: TrainingState, total: int, seed: int
) -> Iterator[Batch]:
    """The batches of the iterations that are left; at half time hard negatives are mined, where the cfg asks for it."""
    drawing, done = samples.cfg.net.draw, state.start.iteration
    half = total // 2 if drawing is not None and drawing.hard and samples.unmarked else 0
    kept = state.folder / "hard.tsv" if state.folder is not None else None
    if done < half:
        yield from samples.batches(done + 1, half, seed)
    if half:
        places = read_places(kept) if kept is not None and done > half else None
        samples.hard = places if places is not None else mine(samples, trainer.detect)
        if kept is not None and places is None:
            write_places(samples.hard, kept)
    yield from samples.batches(max(done, half) + 1, total, seed)
