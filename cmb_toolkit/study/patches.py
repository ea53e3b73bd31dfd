"""The patches of a cell: ``patches.npy``, one array that is mapped and not loaded, and ``patches.tsv``, its rows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..errors import DataError
from ..io.files import check_file
from ..io.tables import read_tsv
from ..schema import PATCHES

__all__ = ["ARRAY", "TABLE", "check_values", "read_patches"]

_AT_ONCE = 1024
ARRAY, TABLE = "patches.npy", "patches.tsv"


def read_patches(folder: Path) -> tuple[pd.DataFrame, NDArray[np.float32]]:
    """Table and array of a folder of patches.

    Returns
    -------
    table : DataFrame
        n rows with at least :data:`cmb_toolkit.schema.PATCHES`.
    patches : (n, size, 2 size, size) float32 memory map
        Read-only; row by row those of the table.

    Raises
    ------
    MissingError
        If they have not been made.
    DataError
        If they are damaged or do not belong together.
    """
    array = folder / ARRAY
    check_file(array, "Run `cmbtk stage2-crop` on this cell first.")
    table = read_tsv(folder / TABLE, PATCHES.needed, may_lack=["label"])
    try:
        patches = np.load(array, mmap_mode="r", allow_pickle=False)
    except Exception as error:  # numpy lets through what its parser of the header raises
        raise DataError(
            f"{array}: damaged ({str(error)[:200]}). Run `cmbtk stage2-crop` on this cell again."
        ) from error
    side = patches.shape[1] if patches.ndim > 1 else 0
    if patches.shape != (len(table), side, 2 * side, side) or patches.dtype != np.float32:
        raise DataError(
            f"{array}: holds {patches.dtype} of shape {patches.shape}; expected float32 of ({len(table)}, n, 2 n, n), "
            f"a patch for each row of {TABLE}. Run `cmbtk stage2-crop` on this cell again."
        )
    return table, patches


def check_values(folder: Path, patches: NDArray[np.float32]) -> NDArray[np.float32]:
    """The patches that are about to be used, of :func:`read_patches`, if their values can be: only these are looked at.

    Parameters
    ----------
    folder : Path
        Where they come from.
    patches : (m, size, 2 size, size) float32 array
        Some or all of them.

    Raises
    ------
    DataError
        If a value is not in 0..1.
    """
    for first in range(0, len(patches), _AT_ONCE):
        part = patches[first : first + _AT_ONCE]
        # written so that NaN is outside as well
        if not (part.min() >= 0 and part.max() <= 1):
            raise DataError(
                f"{folder / ARRAY}: patches must lie in 0..1, and some do not. Run `cmbtk stage2-crop` on this cell "
                "again."
            )
    return patches
