"""Pictures of the findings as DICOM Secondary Capture: what every archive shows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from nibabel.affines import apply_affine
from numpy.typing import NDArray

from ...io.nifti import Volume
from ...report.planes import grey, radiological
from ...schema import WORLD
from ...wording import counted
from .made import MAKER, Made

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from pydicom.dataset import Dataset

__all__ = ["pages"]

_ACROSS, _DOWN = 4, 3
_INCHES = (10.0, 9.0)
_RING_MM = 6.0
_WINDOW = (1, 99.5)
"""Percentiles of what is above 0 that are shown black and white."""

_CAUTION = "Found by a program and seen by nobody. For research; no medical device. R: the patient's right."


def pages(made: Made, image: Volume) -> list[Dataset]:
    """Pages of 12 findings each, with the slice of each; one of words where there is none.

    Parameters
    ----------
    made : Made
    image : Volume
        That shows the anatomy.

    Raises
    ------
    DataError
        If the series lacks what it needs.
    """
    import highdicom as hd

    drawn = list(_drawn(made, image))
    first = made.images[0]

    def page(number: int, pixels: NDArray[np.uint8]) -> Dataset:
        common = made.series("microbleeds, pictures", 3)
        common |= {"sop_instance_uid": made.uid("picture", number), "instance_number": number}
        del common["manufacturer_model_name"], common["software_versions"], common["device_serial_number"]
        shown = hd.sc.SCImage.from_ref_dataset(
            first, pixels, "RGB", 8, "PATIENT", patient_orientation=("L", "P"), **common
        )
        shown.BurnedInAnnotation = "NO"  # no name stands in it
        shown.BodyPartExamined = "BRAIN"  # which is none of a pair, so that there is no side to be said
        return shown

    return [
        made.built("Secondary Capture", lambda number=number, pixels=pixels: page(number, pixels))  # type: ignore[misc]
        for number, pixels in enumerate(drawn, 1)
    ]


def _drawn(made: Made, image: Volume) -> Iterator[NDArray[np.uint8]]:
    """(row, column, RGB) pictures."""
    from ...report.style import canvas

    count, each = len(made.findings), _ACROSS * _DOWN
    windowed = np.percentile(image.data[image.data > 0], _WINDOW)
    window = (float(windowed[0]), float(windowed[1]))
    for start in range(0, max(count, 1), each):
        shown = made.findings.iloc[start : start + each]
        with canvas(*_INCHES, arrange=False) as figure:
            last = f" to {start + len(shown)}" if len(shown) > 1 else ""
            page = f", {start + 1}{last}" if count > each else ""
            head = f"{MAKER}: {counted(count, 'microbleed') if count else 'no microbleed'} found{page}"
            figure.text(0.02, 0.965, head, fontsize=13, fontweight="bold")
            figure.text(0.02, 0.935, "; ".join(made.settings), fontsize=9)
            told = "; ".join(made.summary["reasons"])
            range_ = f"Range: {made.summary['range']}{': ' + told if told else ''}."
            figure.text(0.02, 0.912, f"{range_[:90]} {_CAUTION}", fontsize=9)
            for place, (_, row) in enumerate(shown.iterrows()):
                _tile(figure, place, row, image, window)
            yield _pixels(figure)


def _tile(figure: Figure, place: int, row: pd.Series[Any], image: Volume, window: tuple[float, float]) -> None:
    """A slice with a ring around a finding."""
    from matplotlib.patches import Circle

    down, across = divmod(place, _ACROSS)
    i, j, k = apply_affine(np.linalg.inv(image.affine), row[[*WORLD]].to_numpy(float))
    slice_ = int(np.clip(round(k), 0, image.shape[2] - 1))
    axes = figure.add_axes((0.01 + 0.245 * across, 0.62 - 0.3 * down, 0.235, 0.255))
    plane = radiological(image.data[:, :, slice_])
    wide, high, _ = image.zooms
    axes.imshow(grey(plane, window), cmap="gray", vmin=0, vmax=255, aspect=high / wide)
    column, line = image.shape[0] - 1 - i, image.shape[1] - 1 - j
    axes.add_patch(Circle((column, line), _RING_MM / wide, fill=False, edgecolor="#FFD54A", linewidth=1.2))
    axes.text(0.02, 0.5, "R", transform=axes.transAxes, color="white", fontsize=8, va="center")
    axes.set_axis_off()
    called, value = ("probability", row["probability"]) if pd.notna(row["probability"]) else ("score", row["score"])
    size = f"{row['diameter_mm']:.1f} mm, " if pd.notna(row["diameter_mm"]) else ""
    axes.set_title(f"{row['id']}: slice {row['slice']}, {size}{called} {value:.2f}", fontsize=8, pad=3)


def _pixels(figure: Figure) -> NDArray[np.uint8]:
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    drawn: Any = FigureCanvasAgg(figure)
    drawn.draw()
    return np.asarray(drawn.buffer_rgba())[:, :, :3].copy()
