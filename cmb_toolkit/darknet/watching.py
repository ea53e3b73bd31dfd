"""A training that is looked at while it goes on: what was seen at fixed iterations, and which weights are kept.

The engine shows the network some images and hands the boxes that it finds to a judge, who knows what should be there.
In the folder of the unfinished training lie, beside the checkpoints::

    watch.jsonl                   a line a look
    best_00000500.weights         the weights that were the best so far

The iterations of the looks are counted and not timed, and a checkpoint is saved before each, so that a training that
was killed and gone on with is looked at, and chosen from, as one that was not.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeAlias

from ..errors import CmbError
from ..io.files import read_text
from ..io.publish import replacing, write_text
from ..model import Detection
from .cfg import Cfg
from .images import Images, kept
from .project import SLICES
from .weights import Weights, read_weights, write_weights

__all__ = ["Detect", "Judge", "Judgement", "Look", "Watch"]

_FILE = "watch.jsonl"
_BEST = re.compile(r"best_(\d+)\.weights")


class Judgement(NamedTuple):
    """What somebody who knows the truth says of the boxes found.

    Attributes
    ----------
    rows : list of dict
        Figures to keep, as rows of a table; numbers and words.
    rank : tuple of float or None
        How good the network is, the greater the better, compared as tuples are; None: not to be chosen by.
    said : str
        In a few words, for progress.
    """

    rows: list[dict[str, Any]]
    rank: tuple[float, ...] | None = None
    said: str = ""


class Look(NamedTuple):
    """A judgement of the network as it was after an iteration."""

    iteration: int
    judgement: Judgement


Judge: TypeAlias = Callable[[list[Detection]], Judgement]
Detect: TypeAlias = Callable[[Images], list[Detection]]


class Watch:
    """Where and how a training is looked at.

    Parameters
    ----------
    images : Images
        What the network is shown; made once and kept in memory.
    judge : callable
        Given the boxes found on them.
    points : int
        Looks at equal distances, the last one after the last iteration; at most one an iteration.
    select : {"best", "last"}
        Which weights the training ends with; those of the best look, the later one of equals, or the last ones.
    threshold : float
        Least confidence of a box.
    nms : float
        Of two boxes with a greater IoU the weaker one is dropped.
    most : int, optional
        Boxes of an image at most, the strongest.
    identity : str
        Of what the judge goes by. With another one a training begins anew.

    Attributes
    ----------
    looks : list of Look
        Up to now.
    """

    def __init__(
        self,
        images: Images,
        judge: Judge,
        *,
        points: int = 10,
        select: Literal["best", "last"] = "best",
        threshold: float = 0.005,
        nms: float = 0.45,
        most: int | None = 200,
        identity: str = "",
    ) -> None:
        self.images = kept(images)
        self.threshold, self.nms, self.most = threshold, nms, most
        self.looks: list[Look] = []
        self._judge = judge
        self._count = points
        self._select = select
        self._given = identity
        self._points: list[int] = []
        self._start = 0
        self._folder: Path | None = None
        self._cfg: Cfg | None = None
        self._best: Weights | None = None

    @property
    def identity(self) -> str:
        """Of all that decides what will be seen."""
        # as if they were files, which they were once: trainings that began then go on
        files = [f"{SLICES}/{name}.png" for name in self.images.names]
        return f"watched {self._count} {files} {self.threshold} {self.nms} {self.most} {self._given}"

    @property
    def rows(self) -> list[dict[str, Any]]:
        """The rows of all looks, each with its iteration and whether it was the best look so far."""
        found: list[dict[str, Any]] = []
        best: Look | None = None
        for look in self.looks:
            best = _better(best, look)
            found += [{"iteration": look.iteration, **row, "best": best is look} for row in look.judgement.rows]
        return found

    @property
    def best(self) -> Look | None:
        """The best look up to now; None where no look has a rank."""
        best: Look | None = None
        for look in self.looks:
            best = _better(best, look)
        return best

    @property
    def said(self) -> str:
        """The last judgement in a few words; empty before the first look."""
        return self.looks[-1].judgement.said if self.looks else ""

    @property
    def distance(self) -> int:
        """Iterations from look to look, the fewest; once begun."""
        return min(b - a for a, b in pairwise([self._start, *self._points]))

    def begin(self, folder: Path | None, cfg: Cfg, first: int, start: int) -> None:
        """Begin, or go on with, the looks of a training.

        Parameters
        ----------
        folder : Path or None
            Of the unfinished training; None keeps everything in memory.
        cfg : Cfg
        first, start : int
            Iterations behind the weights that the training begins with, and behind those that it goes on with.
        """
        total = cfg.net.max_batches
        count = min(self._count, total - first)
        self._points = [first + round((total - first) * n / count) for n in range(1, count + 1)]
        self._folder, self._cfg, self._start = folder, cfg, first
        self.looks, self._best = [], None
        if folder is None:
            return
        self.looks = [look for look in _read(folder / _FILE) if look.iteration <= start]
        if self.best is not None:
            self._best = _whole(_best_file(folder, self.best.iteration), cfg, self.best.iteration)
            if self._best is None:  # what was the best is lost, and what was less good with it
                self.looks = [look._replace(judgement=look.judgement._replace(rank=None)) for look in self.looks]
        self._note(folder)

    def due(self, iteration: int) -> bool:
        """Whether the network is to be looked at after this iteration: at a point, or the first time after one."""
        last = self.looks[-1].iteration if self.looks else self._start
        return any(last < point <= iteration for point in self._points)

    def look(self, iteration: int, weights: Weights, detect: Detect) -> None:
        """Look at the network. What goes wrong stops no training; such a look has no figures.

        Parameters
        ----------
        iteration : int
        weights : Weights
            Those of the network, to keep if they are the best so far.
        detect : callable
            Given the images, finds the boxes.

        Raises
        ------
        StorageError
            If the disk is full.
        """
        try:
            judgement = self._judge(detect(self.images))
        except CmbError as error:
            judgement = Judgement([], said=f"not looked at: {error}")
        look = Look(iteration, judgement)
        self.looks.append(look)
        if self.best is look:
            self._best = weights
        if self._folder is None:
            return
        if self.best is look:
            path = _best_file(self._folder, iteration)
            with replacing(path) as temporary:
                write_weights(weights, temporary)
        self._note(self._folder)

    def chosen(self, last: Weights) -> Weights:
        """The weights that the training ends with, of the best look or the last ones."""
        return self._best if self._select == "best" and self._best is not None else last

    def _note(self, folder: Path) -> None:
        """Write the looks down; then of the weights that were the best some time only the best ones stay."""
        write_text(folder / _FILE, "".join(map(_line, self.looks)))
        for path in list(folder.iterdir()):
            match = _BEST.fullmatch(path.name)
            if match and (self.best is None or int(match[1]) != self.best.iteration):
                path.unlink(missing_ok=True)


def _better(best: Look | None, look: Look) -> Look | None:
    """Of two looks the better one, of equals the later one."""
    rank = look.judgement.rank
    if rank is None:
        return best
    return look if best is None or best.judgement.rank is None or rank >= best.judgement.rank else best


def _best_file(folder: Path, iteration: int) -> Path:
    return folder / f"best_{iteration:08d}.weights"


def _whole(path: Path, cfg: Cfg, iteration: int) -> Weights | None:
    try:
        weights = read_weights(path, cfg)
    except CmbError:
        return None
    return weights if weights.seen == iteration * cfg.net.batch else None


def _line(look: Look) -> str:
    content: Mapping[str, Any] = {"iteration": look.iteration, **look.judgement._asdict()}
    return json.dumps(content) + "\n"


def _read(path: Path) -> list[Look]:
    """The looks of a file, those before what is damaged."""
    looks: list[Look] = []
    try:
        for line in read_text(path, "It is made anew.").split("\n")[:-1]:
            content = json.loads(line)
            rank = None if content["rank"] is None else tuple(map(float, content["rank"]))
            looks.append(Look(int(content["iteration"]), Judgement(list(content["rows"]), rank, str(content["said"]))))
    except (CmbError, ValueError, KeyError, TypeError):
        pass
    return looks
