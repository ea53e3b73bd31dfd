"""Verdicts in a label map: a value that is left is a microbleed, one that is gone is none, a new one is a new one."""

from __future__ import annotations

from pathlib import Path

from nibabel.affines import apply_affine

from ...io.label_maps import read_lesions
from ...schema import WORLD
from .base import Returned
from .rows import in_columns

__all__ = ["read"]


def read(path: Path) -> Returned:
    """Read a label map; voxels of one value that do not touch are several.

    Raises
    ------
    MissingError, DataError
    """
    lesions = read_lesions(path, "component")
    places = apply_affine(lesions.grid.affine, lesions.centres).reshape(-1, 3)
    rows: list[dict[str, object]] = [
        {"where": f"{path}: label {value}", "id": value, "verdict": "yes", **dict(zip(WORLD, place, strict=True))}
        for value, place in zip(lesions.values.tolist(), places.tolist(), strict=True)
    ]
    return Returned("label map", in_columns(rows), whole=True)
