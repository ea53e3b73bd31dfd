"""What `cmbtk detect` wrote, as a BIDS derivative: names, descriptions, and the table that the standard asks for."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from .. import __version__
from ..io.publish import replacing, write_text
from ..io.tables import read_tsv, tsv_text
from ..schema import CHANGED, LESIONS, PLACED
from ..study.scan import Scan

__all__ = ["describe_dataset", "write_scan"]

_VERSION = "1.10.0"
_KEPT = ("sub", "ses", "acq", "ce", "rec", "run")
"""Entities of a scan that its results have, too, in the standard's order."""

_OWN = "orig"
"""The standard's word for the scan's own voxels."""

_ENTITY = re.compile(r"(?:^|_)([a-z]+)-([A-Za-z0-9+]+)")
_IGNORED = ("*_report.html", "index.html", "cohort.*", "findings.*", "**/*_candidates.tsv", "**/*_summary.json")
"""What the standard has no name for."""


def describe_dataset(folder: Path, model: str) -> None:
    """Write what a derivative must say of itself.

    Parameters
    ----------
    folder : Path
    model : str
        Name and version of what looked at the scans.
    """
    said = {
        "Name": f"Cerebral microbleeds found by {model}",
        "BIDSVersion": _VERSION,
        "DatasetType": "derivative",
        "GeneratedBy": [
            {"Name": "cmb_toolkit", "Version": __version__, "Description": f"Looked at with the model {model}"}
        ],
    }
    write_text(folder / "dataset_description.json", json.dumps(said, indent=2) + "\n")
    write_text(folder / ".bidsignore", "\n".join(_IGNORED) + "\n")


def write_scan(folder: Path, scan: Scan, made: Path, summary: Mapping[str, Any]) -> str:
    """Give the files of a scan their names in a derivative.

    Parameters
    ----------
    folder : Path
        The derivative.
    scan : Scan
        Its phase, or real part, is called as BIDS has it.
    made : Path
        What `cmbtk detect` wrote.
    summary : mapping
        Of the scan.

    Returns
    -------
    str
        What its files' names begin with.
    """
    image = scan.phase or scan.real
    assert image is not None  # a scan has one of them
    entities = dict(_ENTITY.findall(image.name))
    stem = "_".join(f"{name}-{entities[name]}" for name in _KEPT if name in entities)
    place = folder / f"sub-{entities['sub']}"
    place = (place / f"ses-{entities['ses']}" if "ses" in entities else place) / "anat"
    lesions = read_tsv(made / "lesions.tsv", LESIONS.needed)
    sentences = LESIONS.described() | PLACED.described() | CHANGED.described()
    columns = {name: sentence for name, sentence in sentences.items() if name in lesions and name != "id"}
    table = pd.DataFrame({"index": lesions["id"], "name": [f"microbleed {number}" for number in lesions["id"]]})
    table = table.join(lesions.drop(columns="id"))
    said = {
        "Description": "Cerebral microbleeds found in this scan; a finding's voxels have its index",
        "Manual": False,
        "SpatialReference": _OWN,
        "Model": summary["model"],
        "LearnedFrom": summary["learned_from"],
        "OperatingPoint": summary["operating"],
        "Range": summary["range"],
        "Reasons": summary["reasons"],
        "Warnings": summary["warnings"],
    }
    _link(made / "microbleeds.nii.gz", place / f"{stem}_desc-cmb_dseg.nii.gz")
    _link(made / "probability.nii.gz", place / f"{stem}_label-cmb_desc-cmb_probseg.nii.gz")
    _link(made / "candidates.tsv", place / f"{stem}_candidates.tsv")
    _link(made / "summary.json", place / f"{stem}_summary.json")
    _link(made / "report.html", folder / f"{stem}_report.html")
    write_text(place / f"{stem}_desc-cmb_dseg.tsv", tsv_text(table))
    described = {name: {"Description": sentence} for name, sentence in columns.items()}
    write_text(place / f"{stem}_desc-cmb_dseg.json", json.dumps({**said, **described}, indent=2) + "\n")
    words = "Probability of the candidate that each voxel belongs to"
    probability = {"Description": words, "Manual": False, "SpatialReference": _OWN}
    write_text(place / f"{stem}_label-cmb_desc-cmb_probseg.json", json.dumps(probability, indent=2) + "\n")
    return stem


def _link(source: Path, target: Path) -> None:
    """The same file under another name; a copy where the file system has no links."""
    with replacing(target) as temporary:
        try:
            os.link(source, temporary)
        except OSError:
            shutil.copyfile(source, temporary)
