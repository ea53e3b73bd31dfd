"""``cmbtk model``: make a model of a study's cells, look at it, check it, pack it, try it."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import nibabel as nib
import numpy as np
import pandas as pd

from ..bundle.card import card
from ..bundle.files import CARD, MODEL, SAMPLE, Bundle, opened, pack, verify, write
from ..bundle.make import Named, parts
from ..bundle.parent import Heritage, with_parent
from ..detect.recipe import Detecting
from ..errors import DataError, UsageError
from ..io.publish import Record, publish, read_record
from ..io.tables import read_tsv, write_tsv
from ..schema import WORLD
from ..simulation.scan import simulate_scan
from ..study.cell import read_setup
from ..study.layout import Study
from ..study.model import detector_file
from ..study.scan import Scan

__all__ = ["Tried", "check_output", "export", "make", "try_it"]

REVISION = 1

_CLOSE, _CLOSE_MM = 2e-2, 0.1
"""How much a score and a place may differ between machines."""

_COLUMNS = [*WORLD, "confidence", "network_probability", "score"]
"""Of candidates as the networks give them: where the middle of what is dark lies is no network's affair."""

_SHOWN = 10
_SEED = 2020


def make(final: Path, judged: Sequence[Path], out: Path, named: Named, heritage: Heritage | None = None) -> Path:
    """Make a model of the networks of a cell.

    Parameters
    ----------
    final : Path
        The cell.
    judged : sequence of Path
        Cells, perhaps the same, whose validation and test subjects say what it can do.
    out : Path
        A folder, ``NAME.cmbtk``.
    named : Named
    heritage : Heritage, optional
        Of a model that has learned from what readers said of another one's findings.

    Raises
    ------
    UsageError
        If something else lies there.
    MissingError, DataError, StorageError
    """
    study, cell = Study.of_cell(final)
    cells = [Study.of_cell(each)[1] for each in judged]
    check_output(out)
    networks = [file for file in (detector_file(cell, read_setup(cell)), cell.cnn) if file is not None]
    record = Record(
        "model",
        {
            **vars(named),
            "cells": [each.name for each in cells],
            **({} if heritage is None else {"parent": heritage.sha256, "reviewed": list(heritage.digests)}),
        },
        (*networks, *(each.findings for each in cells), study.participants, study.microbleeds),
        revision=REVISION,
    )
    if record.is_current(out):
        return out
    content, files = parts(study, cell, cells, named)
    if heritage is not None:
        content = with_parent(content, study, cells, heritage)
        files[CARD] = card(content)
    with publish(out, record) as folder, tempfile.TemporaryDirectory(prefix="cmbtk-") as scratch:
        folder.mkdir()
        write(folder, content, files)
        sample = _sample(folder, Path(scratch))
        write(folder, content, {**files, **sample})
    return out


def check_output(out: Path) -> None:
    """Refuse to replace what is no model of this command.

    Raises
    ------
    UsageError
    """
    record = read_record(out)
    if out.exists() and (record is None or record["step"] != "model"):
        raise UsageError(f"{out}: exists and is no model that this command made. Choose another name.")


def _sample(model: Path, scratch: Path) -> dict[str, Path | str]:
    """A small simulated scan and what the model finds in it on this machine, down to what it rejects."""
    scan = simulate_scan(_SEED, "tiny", microbleeds=8, difficulty="easy")
    files = [scratch / Path(name).name for name in SAMPLE]
    for path, data in zip(files, (scan.magnitude, scan.phase), strict=False):
        image = nib.Nifti1Image(np.rint(1000 * data).astype(np.int16), scan.affine)  # per mille, milliradians
        image.header.set_xyzt_units("mm")
        nib.save(image, path)
    write_tsv(_found(model, files[0], files[1]).head(_SHOWN), files[2])
    return dict(zip(SAMPLE, files, strict=True))


def _found(model: Path, magnitude: Path, phase: Path) -> pd.DataFrame:
    from ..detect.networks import load
    from ..detect.scan import look_at

    with opened(model) as bundle:
        scan = Scan("sub-sample", phase, magnitude, phase_sign=1)
        return look_at(scan, bundle.content, load(bundle), Detecting(force=True)).candidates[_COLUMNS]


class Tried(NamedTuple):
    """What came of trying a model.

    Attributes
    ----------
    candidates : int
        Compared.
    worst : float
        Greatest difference of a score.
    """

    candidates: int
    worst: float


def try_it(model: Path) -> Tried:
    """Look at a model's own small scan and compare with what its maker found.

    Raises
    ------
    DataError
        If it finds something else here, or has no sample.
    """
    with opened(model) as bundle:
        verify(bundle, model)
        if not set(SAMPLE) <= set(bundle.content.files):
            raise DataError(f"{model}: has no sample to try it on.")
        return _compared(bundle, model)


def _compared(bundle: Bundle, called: Path) -> Tried:
    magnitude, phase, expected = (bundle.folder / name for name in SAMPLE)
    theirs = read_tsv(expected, _COLUMNS)
    mine = _found(bundle.folder, magnitude, phase)
    worst = 0.0
    for row in theirs.to_dict("records"):
        away = np.linalg.norm(mine[[*WORLD]].to_numpy(float) - [row[name] for name in WORLD], axis=1)
        near = mine[away <= _CLOSE_MM]
        off = float(np.abs(near["score"] - row["score"]).min()) if len(near) else 1.0
        worst = max(worst, off)
    if worst > _CLOSE:
        raise DataError(
            f"{called}: on its own sample it finds other candidates here than where it was made (scores up to "
            f"{worst:.2g} apart). Compare the versions of keras and its backend in {MODEL} with `cmbtk doctor`."
        )
    return Tried(len(theirs), worst)


def export(model: Path, out: Path) -> Path:
    """Write a model as one file.

    Raises
    ------
    UsageError, MissingError, DataError, StorageError
    """
    if out.exists():
        raise UsageError(f"{out}: exists. Choose another name.")
    with opened(model) as bundle:
        verify(bundle, model)
        record = Record("model", {"exported": bundle.content.name}, {"model": bundle.folder / MODEL}, revision=REVISION)
        with publish(out, record) as target:
            pack(bundle, target)
    return out
