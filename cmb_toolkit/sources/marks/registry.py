"""What marks can be read from: a reader for each kind of file, by the endings of its name."""

from __future__ import annotations

__all__ = ["READERS"]

READERS: dict[str, tuple[str, tuple[str, ...]]] = {
    # name: (function, endings)
    "table": ("cmb_toolkit.sources.marks.table:read", (".tsv", ".csv", ".txt")),
    "Excel": ("cmb_toolkit.sources.marks.excel:read", (".xlsx", ".xlsm")),
    "3D Slicer": ("cmb_toolkit.sources.marks.slicer_json:read", (".mrk.json",)),
    "3D Slicer, old": ("cmb_toolkit.sources.marks.slicer_fcsv:read", (".fcsv",)),
    "label map": ("cmb_toolkit.sources.marks.label_map:read", (".nii", ".nii.gz")),
}
"""The readers; what each gives is in :mod:`cmb_toolkit.sources.marks.base`."""
