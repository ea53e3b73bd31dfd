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

import hashlib
import math
import time
import zipfile
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeAlias

import cv2
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..errors import DarknetError, DataError, MissingError, StorageError, UsageError
from ..model import OnProgress
from .augmentation import augment, is_plain, network_size
from .cfg import Cfg, read_cfg
from .labels import labels_from_text
from .project import CFG, TRAIN_LIST, read_list
from .weights import Weights, initial_weights

__all__ = ["HISTORY_COLUMNS", "Samples", "Trained", "Trainer", "read_boxes", "read_image", "train_project"]

HISTORY_COLUMNS = ("iteration", "loss", "avg_loss", "rate", "images", "seconds")

_CACHE_BYTES = 4 << 30
_AHEAD = 4

Batch: TypeAlias = tuple[NDArray[np.uint8], NDArray[np.float32]]


@dataclass(frozen=True)
class Trained:
    """Result of a training: the weights and one row per iteration (HISTORY_COLUMNS)."""

    weights: Weights
    history: pd.DataFrame


def read_image(path: Path, height: int, width: int) -> NDArray[np.uint8]:
    """A network image as (height, width, 3) RGB.

    Raises
    ------
    DataError
        If the file is no readable image or has another size.
    """
    try:
        content = np.fromfile(path, np.uint8)
    except FileNotFoundError as error:
        raise MissingError(f"{path}: image not found. Run `cmbtk prepare-yolo` for this cell again.") from error
    image = cv2.imdecode(content, cv2.IMREAD_COLOR) if content.size else None
    if image is None:
        raise DataError(f"{path}: not a readable image. Run `cmbtk prepare-yolo` for this cell again.")
    if image.shape[:2] != (height, width):
        raise DataError(
            f"{path}: {image.shape[1]}x{image.shape[0]} pixels, but the network in yolo.cfg takes {width}x{height}. "
            "Run `cmbtk prepare-yolo` with this cfg."
        )
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB).astype(np.uint8, copy=False)


def read_boxes(path: Path, side: int) -> NDArray[np.float32]:
    """The boxes of a label file as (n, 5) rows of centre x, y, width, height (relative to the image) and class 0.

    Raises
    ------
    MissingError, DataError
        Darknet reads on after a bad line and trains with what comes out of it; here it is an error.
    """
    try:
        text = path.read_text("utf-8", errors="replace")
    except FileNotFoundError as error:
        raise MissingError(
            f"{path}: label file not found; a slice without microbleeds needs an empty one. "
            "Run `cmbtk prepare-yolo` for this cell again."
        ) from error
    corners = labels_from_text(text, side, str(path)) / side
    low, high = corners[:, :2], corners[:, 2:]
    return np.concatenate([(low + high) / 2, high - low, np.zeros((len(low), 1))], axis=1).astype(np.float32)


class Samples:
    """The training images and labels of a project; images stay decoded in memory if they fit.

    Parameters
    ----------
    cfg : Cfg
    images : sequence of Path
        With the label file beside each.
    cache_bytes : int
        Memory for decoded images; a larger set is decoded anew for every batch.
    """

    def __init__(self, cfg: Cfg, images: Sequence[Path], cache_bytes: int = _CACHE_BYTES) -> None:
        self.cfg = cfg
        self.paths = list(images)
        net = cfg.net
        self.boxes = [read_boxes(path.with_suffix(".txt"), net.width) for path in self.paths]
        self.places = max(len(boxes) for boxes in self.boxes)
        if self.places > cfg.region.max_boxes:
            worst = max(range(len(self.paths)), key=lambda n: len(self.boxes[n]))
            raise DataError(
                f"{self.paths[worst].with_suffix('.txt')}: {self.places} boxes, but the cfg allows "
                f"max={cfg.region.max_boxes}. Raise max in [region]."
            )
        self._cache: NDArray[np.uint8] | None = None
        shape = (len(self.paths), net.height, net.width, 3)
        if math.prod(shape) <= cache_bytes:
            self._cache = np.empty(shape, np.uint8)
            with ThreadPoolExecutor() as pool:
                for n, image in enumerate(pool.map(self._read, self.paths)):
                    self._cache[n] = image

    def _read(self, path: Path) -> NDArray[np.uint8]:
        return read_image(path, self.cfg.net.height, self.cfg.net.width)

    def _image(self, n: int) -> NDArray[np.uint8]:
        return self._read(self.paths[n]) if self._cache is None else self._cache[n]

    def batch(self, iteration: int, seed: int) -> Batch:
        """Images and truths of an iteration; the same for the same iteration and seed.

        Returns
        -------
        images : (batch, height, width, 3) uint8 array
        truths : (batch, boxes, 5) float array
            Padded with zeros at the end.
        """
        net = self.cfg.net
        size = network_size(self.cfg, iteration, np.random.default_rng([seed, 1, (iteration - 1) // 10]))
        random = np.random.default_rng([seed, 2, iteration])
        images = np.empty((net.batch, *size, 3), np.uint8)
        truths = np.zeros((net.batch, self.places, 5), np.float32)
        chosen = random.integers(len(self.paths), size=net.batch)
        for place, n in enumerate(chosen):
            images[place], boxes = augment(self._image(n), self.boxes[n], self.cfg, size, random)
            truths[place, : len(boxes)] = boxes
        return images, truths

    def batches(self, first: int, last: int, seed: int) -> Iterator[Batch]:
        """The batches of iterations `first` to `last`, made ahead in the background."""
        workers = 1 if is_plain(self.cfg) and self._cache is not None else 2
        with ThreadPoolExecutor(workers, thread_name_prefix="batches") as pool:
            ahead: deque[Future[Batch]] = deque()
            try:
                for iteration in range(first, last + 1):
                    while len(ahead) < _AHEAD and (following := iteration + len(ahead)) <= last:
                        ahead.append(pool.submit(self.batch, following, seed))
                    yield ahead.popleft().result()
            finally:
                pool.shutdown(cancel_futures=True)

    def digest(self) -> str:
        """Identity of the training set: names, image sizes in bytes, labels."""
        digest = hashlib.sha256()
        for path, boxes in zip(self.paths, self.boxes, strict=True):
            digest.update(f"{path.name} {path.stat().st_size} ".encode() + boxes.tobytes())
        return digest.hexdigest()


class Trainer:
    """The network with its optimiser.

    Parameters
    ----------
    cfg : Cfg
    weights : Weights
        To begin with, of all layers.
    """

    def __init__(self, cfg: Cfg, weights: Weights) -> None:
        from ..backend import tf
        from .network import Network

        self.cfg = cfg
        self.network = Network(cfg, weights)
        kernels, others = self.network.trainable()
        self._variables = [*kernels, *others]
        self._decays = [True] * len(kernels) + [cfg.net.adam] * len(others)
        copies = 3 if cfg.net.adam else 1  # Adam: gradient, first and second moment
        self._state = [[tf.Variable(tf.zeros(v.shape)) for v in self._variables] for _ in range(copies)]
        self._update = tf.function(self._sgd if not cfg.net.adam else self._adam, autograph=False)
        self._accumulators: dict[tuple[int, int], Any] = {}

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
        from ..backend import tf

        net = self.cfg.net
        size = (images.shape[1], images.shape[2])
        if size not in self._accumulators:
            self._accumulators[size] = tf.function(self._accumulate, autograph=False)
        accumulate = self._accumulators[size]
        seen = (iteration - 1) * net.batch
        loss = 0.0
        for start in range(0, net.batch, net.minibatch):
            part = slice(start, start + net.minibatch)
            seen += net.minibatch
            loss += float(accumulate(tf.constant(images[part]), tf.constant(truths[part]), tf.constant(seen, tf.int64)))
        self._update(tf.constant(net.rate(iteration), tf.float32), tf.constant(iteration, tf.float32))
        return loss / net.batch

    def _accumulate(self, images: Any, truths: Any, seen: Any) -> Any:
        from ..backend import tf
        from .region import region_delta

        model = self.network.model((images.shape[1], images.shape[2]))
        x = tf.cast(images, tf.float32) / 255
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch([v.value for v in self._variables])
            output = model(x, training=True)
        delta = region_delta(output, truths, seen, self.cfg.region)
        gradients = tape.gradient(output, [v.value for v in self._variables], output_gradients=-delta)
        for buffer, gradient in zip(self._state[0], gradients, strict=True):
            buffer.assign_sub(gradient)
        return tf.reduce_sum(delta**2)

    def _sgd(self, rate: Any, _iteration: Any) -> None:
        net = self.cfg.net
        for variable, decays, buffer in zip(self._variables, self._decays, self._state[0], strict=True):
            u = buffer - net.decay * net.batch * variable if decays else buffer.value()
            variable.assign_add(rate / net.batch * u)
            buffer.assign(net.momentum * u)

    def _adam(self, rate: Any, iteration: Any) -> None:
        from ..backend import tf

        net = self.cfg.net
        correction = 1 - tf.pow(net.b1, iteration), 1 - tf.pow(net.b2, iteration)
        for variable, d, m, v in zip(self._variables, *self._state, strict=True):
            u = d - net.decay * net.batch * variable
            m.assign(net.b1 * m + (1 - net.b1) * u)
            v.assign(net.b2 * v + (1 - net.b2) * u**2)
            variable.assign_add(rate * (m / correction[0]) / (tf.sqrt(v / correction[1]) + net.eps))
            d.assign(tf.zeros_like(d))

    def optimiser_state(self) -> list[NDArray[np.float32]]:
        """What must be kept beside the weights to go on later."""
        groups = self._state if not self.cfg.net.adam else self._state[1:]
        return [buffer.numpy() for group in groups for buffer in group]

    def set_optimiser_state(self, arrays: Sequence[NDArray[np.float32]]) -> None:
        groups = self._state if not self.cfg.net.adam else self._state[1:]
        for buffer, array in zip((b for group in groups for b in group), arrays, strict=True):
            buffer.assign(array)


def train_project(
    project: Path,
    *,
    seed: int = 0,
    max_batches: int | None = None,
    weights: Weights | None = None,
    checkpoint: Path | None = None,
    checkpoint_every_s: float = 60.0,
    on_progress: OnProgress = lambda done, total, what: None,
) -> Trained:
    """Train the network of a project folder (``yolo.cfg``, ``train.txt``, images with their labels beside them).

    Parameters
    ----------
    project : Path
    seed : int
        Decides the first weights, the images of every iteration and their augmentation.
    max_batches : int, optional
        Iterations in all; by default what the cfg says.
    weights : Weights, optional
        To begin with: all layers, or the first ones (the rest is drawn anew). Iterations count from 1 all the same.
    checkpoint : Path, optional
        Where the state is saved every `checkpoint_every_s` seconds, and from where an interrupted training with the
        same settings and images goes on.
    on_progress : callable
        ``on_progress(iteration, max_batches, "loss 1.234 rate 0.001")``.

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
    samples = Samples(cfg, [project / line for line in read_list(project / TRAIN_LIST)])
    first = initial_weights(cfg, seed)
    if weights is not None:
        first = Weights((*weights.layers, *first.layers[len(weights.layers) :]))
    run = hashlib.sha256(f"{cfg} {seed} {samples.digest()}".encode())
    for layer in first.layers:
        for array in layer.arrays():
            run.update(array.tobytes())
    trainer = Trainer(cfg, first)
    done, rows = 0, []
    if checkpoint is not None and (saved := _load(checkpoint, run.hexdigest(), cfg)) is not None:
        trainer.network.set_weights(saved.weights)
        trainer.set_optimiser_state(saved.optimiser)
        done, rows = saved.iteration, saved.rows
        on_progress(done, total, "going on from the checkpoint")
    average = rows[-1][2] if rows else -1.0
    before = rows[-1][5] if rows else 0.0
    started = last_save = time.monotonic()
    for iteration, (images, truths) in enumerate(samples.batches(done + 1, total, seed), done + 1):
        loss = trainer.step(images, truths, iteration)
        if not math.isfinite(loss):
            raise _diverged(project, f"the loss is {loss} at iteration {iteration}", checkpoint)
        average = loss if average < 0 else 0.9 * average + 0.1 * loss
        rate = cfg.net.rate(iteration)
        now = time.monotonic()
        rows.append((iteration, loss, average, rate, iteration * cfg.net.batch, before + now - started))
        on_progress(iteration, total, f"loss {average:.3f} rate {rate:.2g}")
        if checkpoint is not None and now - last_save >= checkpoint_every_s and iteration < total:
            if not _save(checkpoint, run.hexdigest(), trainer, iteration, rows):
                raise _diverged(project, f"weights are not finite after iteration {iteration}", checkpoint)
            last_save = time.monotonic()
    result = trainer.network.get_weights(seen=total * cfg.net.batch)
    if not result.is_finite():
        raise _diverged(project, f"weights are not finite after iteration {total}", checkpoint)
    return Trained(result, pd.DataFrame(rows, columns=list(HISTORY_COLUMNS)))


def _diverged(project: Path, what: str, checkpoint: Path | None) -> DarknetError:
    kept = f" The last good checkpoint is kept: {checkpoint}." if checkpoint is not None and checkpoint.exists() else ""
    return DarknetError(
        f"{project}: training diverged, {what}. Choose a smaller learning_rate or a longer burn_in in the cfg.{kept}"
    )


@dataclass(frozen=True)
class _Saved:
    weights: Weights
    optimiser: list[NDArray[np.float32]]
    iteration: int
    rows: list[tuple[float, ...]]


def _save(path: Path, run: str, trainer: Trainer, iteration: int, rows: Sequence[tuple[float, ...]]) -> bool:
    """Save the state of a training; False, and the older one is kept, if its weights are no longer finite."""
    weights = trainer.network.get_weights()
    if not weights.is_finite():
        return False
    arrays = {f"weights_{n}": a for n, a in enumerate(a for layer in weights.layers for a in layer.arrays())}
    arrays |= {f"optimiser_{n}": array for n, array in enumerate(trainer.optimiser_state())}
    temporary = path.with_name(f".tmp.{path.name}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("wb") as stream:
            np.savez(stream, run=np.array(run), iteration=np.array(iteration), rows=np.array(rows), **arrays)  # type: ignore[arg-type]
        temporary.replace(path)
    except OSError as error:
        raise StorageError(
            f"{path}: the checkpoint could not be written ({error.strerror}). Free some space, then run again."
        ) from error
    finally:
        temporary.unlink(missing_ok=True)
    return True


def _load(path: Path, run: str, cfg: Cfg) -> _Saved | None:
    """The checkpoint of the same training; None where there is none, it is of another one, or it is damaged."""
    try:
        with np.load(path) as saved:
            if str(saved["run"]) != run:
                return None
            flat = iter([saved[f"weights_{n}"] for n in range(sum(name.startswith("weights_") for name in saved))])
            names = [name for name in saved if name.startswith("optimiser_")]
            optimiser = [saved[f"optimiser_{n}"] for n in range(len(names))]
            iteration, rows = int(saved["iteration"]), [tuple(map(float, row)) for row in saved["rows"]]
    except (OSError, ValueError, KeyError, zipfile.BadZipFile):
        return None
    from .weights import ConvWeights

    layers = []
    for _, layer, _ in cfg.convolutions():
        biases = next(flat)
        norm = {key: next(flat) for key in ("scales", "mean", "variance")} if layer.batch_normalize else {}
        layers.append(ConvWeights(biases, next(flat), **norm))
    return _Saved(Weights(tuple(layers)), optimiser, iteration, rows)
