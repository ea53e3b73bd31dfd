"""A source: a folder with a folder for each subject, and in it a file of marks, `i j k` a line."""

from dataclasses import dataclass
from functools import partial
from typing import ClassVar

import numpy as np

from cmb_toolkit.io.marks import voxels_to_canonical
from cmb_toolkit.recipe import option
from cmb_toolkit.sources.base import Found, Marks, Scan, Source


@dataclass(frozen=True)
class Toy(Source):
    """Make a study from a FOLDER with a folder for each subject."""

    name: ClassVar[str] = "toy"
    place: ClassVar[str] = "folder"

    group: str = option("patient", "Who they are.", choices=("patient", "control"))

    def find(self, place, out):
        return Found([self.scan(folder) for folder in sorted(place.iterdir())])

    def scan(self, folder):
        volumes = {kind: folder / f"{kind}.nii.gz" for kind in ("magnitude", "phase", "mask")}
        points = np.loadtxt(folder / "marks.txt", dtype=int, ndmin=2)
        marks = Marks(str(folder), [f"{folder}: line {n}" for n in range(len(points))], {"": partial(counted, points)})
        return Scan(f"sub-{folder.name}", {"group": self.group, "scanner": "toy"}, volumes, marks)


def counted(points, grid):
    return voxels_to_canonical(points, grid.shape, grid.affine)
