"""Where a study can come from, by name: each is a command of ``cmbtk import``."""

from __future__ import annotations

__all__ = ["SOURCES"]

SOURCES: dict[str, tuple[str, str]] = {
    # name: (class, where from)
    "authors": (
        "cmb_toolkit.sources.authors:Authors",
        "From folders Data (volumes) and Label (Excel sheets).",
    ),
    "bids": ("cmb_toolkit.sources.bids:Bids", "From a BIDS folder."),
    "dicom": ("cmb_toolkit.sources.dicom:Dicom", "From DICOM, a folder a person."),
    "table": ("cmb_toolkit.sources.table:Table", "From a table of files."),
}
"""The sources; what each must say is in :mod:`cmb_toolkit.sources.base`."""
