"""Wang's and Hong's methods: a 2D network looks at windows of single slices, and nothing follows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from ..keras_settings import parameters_trained
from ..windows.recipe import SlidingTraining

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from ..model import OnProgress
    from .base import Marked

__all__ = ["Hong", "TrainedSliding", "Wang"]


@dataclass(frozen=True)
class _Sliding(SlidingTraining):
    """The network before it has learned."""

    volumes: ClassVar[tuple[str, ...]] = ("swi",)
    kind: ClassVar[Literal["densenet", "resnet"]]
    side: ClassVar[int]
    command: ClassVar[str]

    def learn(
        self, scans: Iterable[Marked], out: Path, *, checkpoint: Path, key: str, on_progress: OnProgress
    ) -> Mapping[str, Any]:
        """Train it, and write its numbers; what it found of the scans it learned from stands in the note."""
        from ..lessons.brains import brain_of
        from ..lessons.loop import SEPARATION_MM
        from ..lessons.network_file import save
        from ..lessons.skill import MOST, check_skill
        from ..windows.sliding import answers, look, train

        brains = [brain_of(scan.volumes["swi"], None, scan.mask, scan.spacing, scan.marks) for scan in scans]
        model, history = train(
            brains, self, self.kind, self.side, checkpoint=checkpoint, key=key, on_progress=on_progress
        )
        looking = partial(look, answers(model), self, self.side, separation_mm=SEPARATION_MM, most=MOST)
        skill = check_skill(looking, brains)
        save(model, out)
        return {"history": history.to_dict("list"), "parameters_trained": parameters_trained(model), **skill}

    def trained(self, network: Path) -> TrainedSliding:
        """The network, to be read from its file."""
        return TrainedSliding(self, network)


@dataclass(frozen=True)
class Wang(_Sliding):
    """A DenseNet on windows of 61 x 61 voxels."""

    kind: ClassVar[Literal["densenet", "resnet"]] = "densenet"
    side: ClassVar[int] = 61
    command: ClassVar[str] = "wang"


@dataclass(frozen=True)
class Hong(_Sliding):
    """A ResNet on windows of 41 x 41 voxels."""

    kind: ClassVar[Literal["densenet", "resnet"]] = "resnet"
    side: ClassVar[int] = 41
    command: ClassVar[str] = "hong"


@dataclass(frozen=True)
class TrainedSliding:
    """A network that has learned, and how it is used."""

    learner: _Sliding
    network: Path
    volumes: ClassVar[tuple[str, ...]] = _Sliding.volumes

    def find(
        self,
        volumes: Mapping[str, NDArray[np.float32]],
        mask: NDArray[np.bool_],
        spacing: Sequence[float],
        *,
        separation_mm: float,
        most: int,
    ) -> tuple[NDArray[Any], NDArray[np.floating[Any]]]:
        """Where windows look like those of microbleeds, and their probabilities."""
        import numpy as np

        from ..lessons.brains import brain_of
        from ..windows.sliding import load, look

        brain = brain_of(volumes["swi"], None, mask, spacing, np.empty((0, 3)))
        run = load(self.network, self.learner.command)
        places, values = look(run, self.learner, self.learner.side, brain, separation_mm=separation_mm, most=most)
        return places + np.array(brain.corner), values
