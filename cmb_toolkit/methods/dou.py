"""Dou's cascade: a fully convolutional 3D network screens the whole brain, a 3D-CNN decides (stage 2, ``dou``)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from ..keras_settings import parameters_trained
from ..windows.recipe import ScreeningTraining

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from ..model import OnProgress
    from .base import Marked

__all__ = ["Dou", "TrainedDou"]


@dataclass(frozen=True)
class Dou(ScreeningTraining):
    """The screening network before it has learned."""

    volumes: ClassVar[tuple[str, ...]] = ("swi",)

    def learn(
        self, scans: Iterable[Marked], out: Path, *, checkpoint: Path, key: str, on_progress: OnProgress
    ) -> Mapping[str, Any]:
        """Train it, and write its numbers; what it found of the scans it learned from stands in the note."""
        from ..lessons.brains import brain_of
        from ..lessons.loop import SEPARATION_MM
        from ..lessons.network_file import save
        from ..lessons.skill import MOST, check_skill
        from ..windows.screening import answers, look, train

        brains = [brain_of(scan.volumes["swi"], None, scan.mask, scan.spacing, scan.marks) for scan in scans]
        model, history = train(brains, self, checkpoint=checkpoint, key=key, on_progress=on_progress)
        skill = check_skill(partial(look, answers(model), separation_mm=SEPARATION_MM, most=MOST), brains)
        save(model, out)
        return {"history": history.to_dict("list"), "parameters_trained": parameters_trained(model), **skill}

    def trained(self, network: Path) -> TrainedDou:
        """The network, to be read from its file."""
        return TrainedDou(network)


@dataclass(frozen=True)
class TrainedDou:
    """A screening network that has learned."""

    network: Path
    volumes: ClassVar[tuple[str, ...]] = Dou.volumes

    def find(
        self,
        volumes: Mapping[str, NDArray[np.float32]],
        mask: NDArray[np.bool_],
        spacing: Sequence[float],
        *,
        separation_mm: float,
        most: int,
    ) -> tuple[NDArray[Any], NDArray[np.floating[Any]]]:
        """Peaks, and their probabilities."""
        import numpy as np

        from ..lessons.brains import brain_of
        from ..windows.screening import load, look

        brain = brain_of(volumes["swi"], None, mask, spacing, np.empty((0, 3)))
        places, values = look(load(self.network), brain, separation_mm=separation_mm, most=most)
        return places + np.array(brain.corner), values
