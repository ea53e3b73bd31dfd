"""What a page on one scan says: tables, sentences and the volumes that are shown. Made by who ran the model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from .regions import Placement

__all__ = ["COLUMNS", "Changes", "Light", "ScanPage", "Shown"]

Light = Literal["green", "amber", "red"]
"""Within the range that the model was trained on, beyond it, far beyond it."""

COLUMNS = (
    "id",
    "x_mm",
    "y_mm",
    "z_mm",
    "i",
    "j",
    "k",
    "slice",
    "diameter_mm",
    "volume_mm3",
    "confidence",
    "network_probability",
    "score",
    "probability",
    "flags",
)
"""Columns of the tables of lesions, see :class:`ScanPage`; more may be there."""


@dataclass(frozen=True, eq=False)
class Shown:
    """The volumes that are shown, on one grid with canonical axes: i to the patient's right, j anterior, k superior.

    Attributes
    ----------
    affine : (4, 4) float array
        From voxel to world [mm], RAS.
    swi, minip : (i, j, k) float32 arrays
        Any scale; 0 outside the brain.
    phase : (i, j, k) float32 array
        High-passed [rad], paramagnetic positive.
    mask : (i, j, k) bool array
        The brain.
    slices : tuple of int or None
        The number of each slice in the scan's own file, from 1 as viewers count (see
        :func:`cmb_toolkit.report.scan.grid.slice_numbers`); None: from the lowest.
    head : (i, j, k) float32 array or None
        The magnitude with everything outside the brain, any scale: on it one sees whether the mask is right.

    Raises
    ------
    ValueError
        If they are not on one grid.
    """

    affine: NDArray[np.float64]
    swi: NDArray[np.float32]
    phase: NDArray[np.float32]
    minip: NDArray[np.float32]
    mask: NDArray[np.bool_]
    slices: tuple[int, ...] | None = None
    head: NDArray[np.float32] | None = None

    def __post_init__(self) -> None:
        shapes = {name: getattr(self, name).shape for name in ("swi", "phase", "minip", "mask")}
        if self.head is not None:
            shapes["head"] = self.head.shape
        if len(set(shapes.values())) != 1 or self.mask.ndim != 3 or 0 in self.mask.shape:
            raise ValueError(f"volumes on one grid of three axes expected, found {shapes}.")
        if self.affine.shape != (4, 4):
            raise ValueError(f"an affine of 4 x 4 expected, found {self.affine.shape}.")
        if self.slices is not None and len(self.slices) != self.mask.shape[2]:
            raise ValueError(f"{len(self.slices)} numbers for {self.mask.shape[2]} slices.")


@dataclass(frozen=True, eq=False)
class Changes:
    """What has changed since an earlier scan.

    Attributes
    ----------
    doubt : str
        Why that is not known; empty where it is.
    note : str
        What to think of before believing a change; or empty.
    similarity : float
        Mutual information of the two scans [nat].
    numbers : mapping
        How many findings are ``new``, ``unchanged`` and ``unseen`` (outside the earlier scan), and how many of the
        earlier are ``gone`` or ``unseen now``.
    gone : DataFrame
        :data:`cmb_toolkit.schema.GONE`.
    """

    doubt: str
    note: str
    similarity: float
    numbers: Mapping[str, int]
    gone: pd.DataFrame


@dataclass(frozen=True, eq=False)
class ScanPage:
    """The page on one scan.

    Attributes
    ----------
    subject : str
        Never a person's name.
    model : str
        Name and version.
    trained_on : str
        What the model was trained on, with ``simulated`` or ``real`` in it.
    light : {"green", "amber", "red"}
        Whether the scan lies within the model's range.
    reasons : tuple of str
        Why not green, a sentence each.
    operating : str
        ``sensitive``, ``balanced`` or ``specific``.
    expected : str
        What this operating point reached on subjects held out, a sentence.
    facts : tuple of (label, value)
        On scan and model, for the head of the page.
    lesions : DataFrame
        Findings, the most probable first, with :data:`COLUMNS`: ``id`` the voxel value of the label map; ``x_mm``,
        ``y_mm``, ``z_mm`` world, RAS; ``i``, ``j``, ``k`` on the scan's own file, from 0, fractional; ``slice`` of that
        file, from 1; ``diameter_mm``, ``volume_mm3``, NaN where not measured; ``confidence`` of stage 1,
        ``network_probability`` of stage 2 and the calibrated ``probability``, 0..1, NaN where there is none; ``score``
        by which it was decided; ``flags``, words joined by ``"; "``.
    rejected : DataFrame
        The best candidates that were not kept, a few, with the same columns.
    candidates : int
        How many there were before stage 2.
    quality, provenance : tuple of (what, words)
    warnings : tuple of str
    shown : Shown
    placement : Placement or None
        How the scan lies on the template, where regions were asked for; where they are known, the tables of lesions
        have the columns of :data:`cmb_toolkit.schema.PLACED`.
    changes : Changes or None
        Where an earlier scan was given; the tables of lesions then have the columns of
        :data:`cmb_toolkit.schema.CHANGED`.

    Raises
    ------
    ValueError
        If a column or a light is missing.
    """

    subject: str
    model: str
    trained_on: str
    light: Light
    reasons: tuple[str, ...]
    operating: str
    expected: str
    facts: tuple[tuple[str, str], ...]
    lesions: pd.DataFrame
    rejected: pd.DataFrame
    candidates: int
    quality: tuple[tuple[str, str], ...]
    warnings: tuple[str, ...]
    provenance: tuple[tuple[str, str], ...]
    shown: Shown
    placement: Placement | None = None
    changes: Changes | None = None

    def __post_init__(self) -> None:
        if self.light not in get_args(Light):
            raise ValueError(f"light {self.light!r}: {', '.join(get_args(Light))} expected.")
        for name in ("lesions", "rejected"):
            lost = [column for column in COLUMNS if column not in getattr(self, name)]
            if lost:
                raise ValueError(f"{name} lack {', '.join(lost)}.")
