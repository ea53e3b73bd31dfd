"""Scans in which this method sees no microbleeds, whatever else is right about them.

`cmbtk preprocess`, `cmbtk swi` and `cmbtk check` ask here.
"""

from __future__ import annotations

from collections.abc import Sequence

from ..io.bids import echo_time_ms, read_acquisition
from .scan import Scan

__all__ = ["method_doubts"]

_COARSEST_MM = 1.5
_THICKEST_MM = 4.0
_SHORTEST_ECHO_MS = 8.0


def method_doubts(scan: Scan, zooms: Sequence[float], echo: int | None) -> tuple[str, ...]:
    """Say why this method will not see microbleeds in a scan, whatever else is right about it.

    Parameters
    ----------
    scan : Scan
    zooms : three floats
        Voxel size [mm].
    echo : int or None
        Which echo is taken, from 1.
    """
    doubts = []
    in_plane, slices = round(max(zooms[:2]), 2), round(zooms[2], 2)
    if in_plane > _COARSEST_MM:
        doubts.append(f"voxels of {in_plane:.3g} mm in the slice (more than {_COARSEST_MM:g} mm)")
    if slices > _THICKEST_MM:
        doubts.append(f"slices of {slices:.3g} mm (more than {_THICKEST_MM:g} mm)")
    facts = [found for path in scan.sidecars.values() if (found := read_acquisition(path))]
    times = [time for found in facts if (time := echo_time_ms(found, echo)) is not None]
    time = max(times, default=scan.echo_time_ms)
    if time is not None and time < _SHORTEST_ECHO_MS:
        doubts.append(f"an echo time of {time:g} ms (less than {_SHORTEST_ECHO_MS:g} ms)")
    if any({"EchoTime1", "EchoTime2"} <= found.keys() for found in facts) or any(
        "phasediff" in path.name.lower() for path in (scan.phase, scan.magnitude) if path is not None
    ):
        doubts.append("a phase that is the difference of two echoes (a field map)")
    return tuple(f"{doubt}: this method will not see microbleeds there" for doubt in doubts)
