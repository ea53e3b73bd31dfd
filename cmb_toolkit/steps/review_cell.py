"""A cell again, in which stage 2 has more to learn from: the patches of reviewed scans beside its own."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from ..errors import DataError
from ..io.publish import Record, fingerprint, identity, publish, record_of, replacing
from ..io.tables import read_tsv, write_tsv
from ..review.lessons import copies_of_rejected
from ..schema import PATCHES
from ..study.layout import Study
from ..study.made_from import check_patches, patches_digest
from ..study.patches import ARRAY, TABLE, read_patches

__all__ = ["review_cell"]

REVISION = 1

_ANEW = {"patches", "cnn", "cnn_history", "cnn_loss", "findings", "evaluation", "figures"}
"""What a cell has of its second stage, by what the names begin with."""


def review_cell(cell: Path, lessons: Sequence[Path], name: str) -> Path:
    """Make a cell with the first stage of another one, and with more patches to train its second on.

    Parameters
    ----------
    cell : Path
        With patches.
    lessons : sequence of Path
        From :func:`cmb_toolkit.steps.review_crop.review_crop`.
    name : str
        Of the new cell.

    Returns
    -------
    Path
        The new cell. Patches of rejected findings stand in it up to three times.

    Raises
    ------
    MissingError, DataError, StorageError
        Among others a DataError if the patches are of another size.
    """
    study, old = Study.of_cell(cell)
    check_patches(old)
    new = study.cell_named(name)
    for path in sorted(old.folder.iterdir()):
        if path.name.partition(".")[0] not in _ANEW:
            _link(path, new.folder / path.name)
    known = [identity(each, f"{each}: not complete. Run `cmbtk train` again.") for each in lessons]
    before = record_of(old.patches)["parameters"]
    record = Record(
        "stage2-crop",  # by this name others know whose patches they are
        {**before, "reviewed": [*before.get("reviewed", []), *known], "of": patches_digest(old)},
        {study.microbleeds.name: study.microbleeds, "patches": old.patches / TABLE},
        revision=REVISION,
    )
    if record.is_current(new.patches):
        check_patches(new)
        return new.folder
    own, patches = read_patches(old.patches)
    taught = [(_read(each), np.load(each / ARRAY, mmap_mode="r")) for each in lessons]
    for (_, array), where in zip(taught, lessons, strict=True):
        if array.shape[1:] != patches.shape[1:]:
            raise DataError(f"{where}: holds patches of another size than {old.patches}. Take the cell's own model.")
    again = {called for table, _ in taught for called in table["participant_id"]}
    kept = np.flatnonzero(~own["participant_id"].isin(again))
    table = pd.concat([own.iloc[kept], *(each for each, _ in taught)], ignore_index=True)
    rejected = table["mimic"].notna().to_numpy() if "mimic" in table else np.zeros(len(table), bool)
    learned = (table["role"] == "train").to_numpy()
    copies = copies_of_rejected(int((learned & (table["label"] == 1).to_numpy()).sum()), int(rejected.sum()))
    rows = np.concatenate([np.arange(len(table)), *[np.flatnonzero(rejected)] * (copies - 1)])
    with publish(new.patches, record) as folder:
        folder.mkdir()
        every = np.concatenate([patches[kept], *(array for _, array in taught)])
        np.save(folder / ARRAY, every[rows])
        written = table.iloc[rows].reset_index(drop=True)
        number = written.groupby("candidate_id").cumcount()
        written["candidate_id"] = [
            f"{c}_{n + 1}" if n else c for c, n in zip(written["candidate_id"], number, strict=True)
        ]
        write_tsv(written[PATCHES.names], folder / TABLE)
        contents = [{"file": file, **fingerprint(folder / file)} for file in (ARRAY, TABLE)]
        folder.note(contents=contents, rejected=int(rejected.sum()), copies_of_rejected=copies)
    return new.folder


def _read(lessons: Path) -> pd.DataFrame:
    return read_tsv(lessons / TABLE, PATCHES.needed, may_lack=["label"])


def _link(source: Path, target: Path) -> None:
    """The same files in another place; outputs are replaced and never written into, so that both stay as they are."""
    if source.is_dir():
        for path in sorted(source.iterdir()):
            _link(path, target / path.name)
        return
    if target.exists() and target.samefile(source):
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    with replacing(target) as temporary:
        try:
            os.link(source, temporary)
        except OSError:
            shutil.copyfile(source, temporary)
