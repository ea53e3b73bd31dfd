"""One 3D network on SWI and phase that marks every microbleed with a peak: beyond the paper."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from ..heatmap.recipe import HeatmapTraining
from ..keras_settings import parameters_trained

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from ..model import OnProgress
    from .base import Marked

__all__ = ["Heatmap", "TrainedHeatmap"]


@dataclass(frozen=True)
class Heatmap(HeatmapTraining):
    """The network before it has learned."""

    volumes: ClassVar[tuple[str, ...]] = ("swi", "phase")

    def learn(
        self, scans: Iterable[Marked], out: Path, *, checkpoint: Path, key: str, on_progress: OnProgress
    ) -> Mapping[str, Any]:
        """Train it, and write its numbers; what it found of the scans it learned from stands in the note."""
        from ..heatmap.peaks import NOW
        from ..heatmap.running import answers
        from ..heatmap.training import found_of, train
        from ..lessons.brains import brain_of
        from ..lessons.network_file import save
        from ..lessons.skill import check_skill

        brains = [
            brain_of(scan.volumes["swi"], scan.volumes["phase"], scan.mask, scan.spacing, scan.marks) for scan in scans
        ]
        model, history = train(brains, self, checkpoint=checkpoint, key=key, on_progress=on_progress)
        skill = check_skill(partial(found_of, answers(model)), brains)
        save(model, out, looks=NOW)  # files that are there keep theirs, as their thresholds are of it
        return {"history": history.to_dict("list"), "parameters_trained": parameters_trained(model), **skill}

    def trained(self, network: Path) -> TrainedHeatmap:
        """The network, to be read from its file."""
        return TrainedHeatmap(network)


@dataclass(frozen=True)
class TrainedHeatmap:
    """A network that has learned."""

    network: Path
    volumes: ClassVar[tuple[str, ...]] = Heatmap.volumes

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

        from ..heatmap.network_file import load
        from ..heatmap.peaks import peaks
        from ..lessons.brains import brain_of

        brain = brain_of(volumes["swi"], volumes["phase"], mask, spacing, np.empty((0, 3)))
        found = load(self.network, brain.spacing)(brain)
        places, values = peaks(found, brain.spacing, separation_mm=separation_mm, most=most)
        return places + np.array(brain.corner), values
