"""A reader of marks: `x y z` a line, in the world."""

import numpy as np
import pandas as pd

from cmb_toolkit.schema import WORLD
from cmb_toolkit.sources.marks.base import Reading


def read(path, options):
    points = pd.DataFrame(np.loadtxt(path, ndmin=2), columns=[*WORLD])
    return Reading("toy points", points.assign(where=[f"{path}: line {n}" for n in range(1, len(points) + 1)]))
