"""A detector that learns how dark microbleeds are, and one that learns how many it was shown."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np

from cmb_toolkit.methods.frst import Frst
from cmb_toolkit.recipe import Recipe, option
from cmb_toolkit.stage1.radial_symmetry import local_maxima


@dataclass(frozen=True)
class Learned:
    """What has learned."""

    network: Path
    volumes: ClassVar[tuple[str, ...]] = ("swi",)

    def find(self, volumes, mask, spacing, *, separation_mm, most):
        level = json.loads(self.network.read_text())["level"]
        score = np.where(mask & (volumes["swi"] < 2 * level), level / (level + volumes["swi"]), 0)
        return local_maxima(score.astype(np.float32), spacing, separation_mm=separation_mm, most=most)


@dataclass(frozen=True)
class Darkness(Recipe):
    """What is as dark as the microbleeds shown."""

    margin: float = option(1.5, "How much brighter one may be.", above=0)
    volumes: ClassVar[tuple[str, ...]] = ("swi",)

    def learn(self, scans, out, *, checkpoint, key, on_progress):
        values = [float(scan.volumes["swi"][tuple(np.rint(mark).astype(int))]) for scan in scans for mark in scan.marks]
        out.write_text(json.dumps({"level": self.margin * max(values)}))
        on_progress(1, 1, "learned")
        return {"microbleeds": len(values)}

    def trained(self, network):
        return Learned(network)


@dataclass(frozen=True)
class Round(Recipe):
    """What is round and dark."""

    strictness: float = option(2.0, "How round.", above=0)
    volumes: ClassVar[tuple[str, ...]] = ("swi",)

    def learn(self, scans, out, *, checkpoint, key, on_progress):
        out.write_text(json.dumps({"shown": sum(len(scan.marks) for scan in scans)}))
        return {}

    def trained(self, network):
        assert json.loads(network.read_text())["shown"] > 0
        return Frst(strictness=self.strictness)
