"""Grids of files: any order of axes, and some obliqueness."""

from itertools import permutations, product

import hypothesis.strategies as st
import nibabel as nib
import numpy as np

CODES = ["".join(pick) for order in permutations(("LR", "AP", "SI")) for pick in product(*order)]


@st.composite
def grids(draw):
    """A file's grid: shape, and an affine with any axis order and some obliqueness."""
    shape = tuple(draw(st.integers(2, 12)) for _ in range(3))
    zooms = np.array([draw(st.floats(0.3, 3)) for _ in range(3)])
    ornt = nib.orientations.axcodes2ornt(tuple(draw(st.sampled_from(CODES))))
    rotation = np.zeros((3, 3))
    for axis, (canonical, direction) in enumerate(ornt):
        rotation[int(canonical), axis] = direction
    angle = draw(st.floats(-0.4, 0.4))
    tilt = np.array([[1, 0, 0], [0, np.cos(angle), -np.sin(angle)], [0, np.sin(angle), np.cos(angle)]])
    affine = np.eye(4)
    affine[:3, :3] = tilt @ rotation * zooms
    affine[:3, 3] = [draw(st.floats(-100, 100)) for _ in range(3)]
    return shape, affine
