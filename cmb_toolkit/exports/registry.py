"""What findings can be written as, by name: the words of ``cmbtk export --to``."""

from __future__ import annotations

__all__ = ["EXPORTS"]

EXPORTS: dict[str, tuple[str, str]] = {
    # name: (class, what it is)
    "labelmap": (
        "cmb_toolkit.exports.labelmap:Labelmap",
        "a NIfTI label map on the scan's own grid, in which each finding's voxels are its id",
    ),
    "points": ("cmb_toolkit.exports.points:Points", "a 3D Slicer list of points (.mrk.json)"),
}
"""The exports; what each must say is in :mod:`cmb_toolkit.exports.base`."""
