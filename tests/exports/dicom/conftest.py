"""A scan of known values with three findings, of any vendor."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
import pytest

from cmb_toolkit.exports.dicom.made import Made
from cmb_toolkit.exports.dicom.source import source_of
from cmb_toolkit.io.dicom import converted
from cmb_toolkit.io.dicom_frames import series_in
from cmb_toolkit.io.nifti import Volume, read_volume

TURN = np.deg2rad(12)
AFFINE = np.array([
    [0.8, 0, 0, -18],
    [0, 0.8 * np.cos(TURN), -2 * np.sin(TURN), -16],
    [0, 0.8 * np.sin(TURN), 2 * np.cos(TURN), -9],
    [0, 0, 0, 1],
])  # fmt: skip
SHAPE = (48, 40, 10)


@dataclass(frozen=True)
class Case:
    """What was looked at: its image as dcm2niix makes it, and its label map on the same voxels."""

    made: Made
    image: Volume
    labels: np.ndarray


@pytest.fixture
def values():
    """Magnitude and phase."""
    rng = np.random.default_rng(3)
    return rng.uniform(0.1, 3, SHAPE).round(3), rng.uniform(-3.1, 3.1, SHAPE)


@pytest.fixture
def case(tmp_path, values):
    """A function that writes a vendor's series and says what was found in it."""

    def make(vendor, findings=3, **tags):
        folder = tmp_path / "dicom"
        vendor(folder, *values, AFFINE, **tags)
        with converted(folder) as images:
            kinds = {each.kind: each for each in images}
            image = read_volume((kinds.get("magnitude") or kinds["swi"]).path)
        labels = np.zeros(image.shape, np.uint16)
        labels[10:13, 10:12, 4:6], labels[30, 30, 2], labels[5:8, 30:34, 0:2] = 1, 2, 3
        labels[labels > findings] = 0
        centres = np.array([[11, 10.5, 4.5, 1], [30, 30, 2, 1], [6, 31.5, 0.5, 1]])[:findings] @ image.affine.T
        table = pd.DataFrame(centres[:, :3], columns=["x_mm", "y_mm", "z_mm"]).assign(
            id=range(1, findings + 1),
            slice=[5, 3, 1][:findings],
            diameter_mm=[3.2, np.nan, 4.0][:findings],
            volume_mm3=[20.0, np.nan, 33.0][:findings],
            score=[0.9, 0.6, 0.3][:findings],
            probability=[0.8, 0.5, 0.25][:findings],
            kept=True,
        )
        summary = {
            "model": "ours 2",
            "learned_from": "simulated",
            "operating": "balanced",
            "threshold": 0.2,
            "range": "amber",
            "reasons": ["few slices"],
        }
        made = Made(source_of([image], series_in(folder)), table, summary, "0" * 64)
        return Case(made, image, labels)

    return make
