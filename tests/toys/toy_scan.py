"""A small head with dark spots at known places, and the page on it."""

import numpy as np
import pandas as pd

from cmb_toolkit.report.scan.content import COLUMNS, ScanPage, Shown

SHAPE = (60, 70, 20)
SPOTS = np.array([(20.0, 45.0, 12.0), (41.0, 22.0, 5.0), (30.0, 35.0, 16.0)])
"""Voxels that are dark on SWI and bright on phase: two findings and a near miss."""


def affine(angle=0.0, mm=(0.9, 0.8, 2.0), at=(-31.0, 12.5, -70.0)):
    """Voxels of this size turned by an angle about x, then half as much about z."""
    a, b = np.deg2rad([angle, angle / 2])
    about_x = np.array([[1, 0, 0], [0, np.cos(a), -np.sin(a)], [0, np.sin(a), np.cos(a)]])
    about_z = np.array([[np.cos(b), -np.sin(b), 0], [np.sin(b), np.cos(b), 0], [0, 0, 1]])
    matrix = np.eye(4)
    matrix[:3, :3] = about_z @ about_x @ np.diag(mm)
    matrix[:3, 3] = at
    return matrix


def head(matrix, spots=SPOTS, **other):
    """A brain of grey noise with its spots."""
    rng = np.random.default_rng(1)
    axes = np.meshgrid(*(np.linspace(-1, 1, n) for n in SHAPE), indexing="ij")
    mask = sum(axis**2 for axis in axes) < 0.95
    swi = rng.normal(100, 3, SHAPE).astype(np.float32)
    phase = rng.normal(0, 0.05, SHAPE).astype(np.float32)
    for i, j, k in np.rint(spots).astype(int):
        swi[i, j, k], phase[i, j, k] = 10, 1.5
    swi, phase = swi * mask, phase * mask
    return Shown(matrix, swi, phase, swi, mask, **other)


def lesions(matrix, spots, first=1):
    """A row for each spot, with the probabilities .9, .8, ..."""
    rows = []
    for n, spot in enumerate(spots):
        world = (matrix @ [*spot, 1])[:3]
        value = 0.9 - 0.1 * n
        rows.append((first + n, *world, *spot, int(spot[2]) + 1, 3.0 + n, 14.0, 0.5, value, value, value, ""))
    return pd.DataFrame(rows, columns=list(COLUMNS))


def scan(matrix=None, findings=2, **other):
    """A page; of the spots the first few are findings, the others near misses."""
    matrix = affine() if matrix is None else matrix
    content = {
        "subject": "sub-001",
        "model": "toy 1.0",
        "trained_on": "32 real patients",
        "light": "green",
        "reasons": (),
        "operating": "balanced",
        "expected": "On 32 held-out subjects: 86 %.",
        "facts": (("Voxels", "0.9 x 0.8 x 2 mm"),),
        "lesions": lesions(matrix, SPOTS[:findings]),
        "rejected": lesions(matrix, SPOTS[findings:], first=findings + 1),
        "candidates": 37,
        "quality": (("Phase sign", "paramagnetic bright"),),
        "warnings": (),
        "provenance": (("Command", "cmbtk"),),
        "shown": head(matrix),
    }
    return ScanPage(**content | other)
