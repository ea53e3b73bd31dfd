"""What `cmbtk detect` writes of scans, as far as a review needs it: findings at known places, on voxels of any kind."""

import json

import nibabel as nib
import numpy as np
import pandas as pd

from cmb_toolkit.exports.labelmap import spheres
from cmb_toolkit.io.publish import Record, publish
from cmb_toolkit.io.tables import write_tsv
from cmb_toolkit.schema import LESIONS

SHAPE = (60, 70, 20)
OBLIQUE = np.array([[-0.88, 0.1, 0.1, 30.0], [0.09, 0.79, -0.25, -25.0], [0.06, 0.08, 1.98, -20.0], [0, 0, 0, 1.0]])
"""Voxels of about 0.9 x 0.8 x 2 mm, turned, whose first axis grows to the left."""

PLACES = {
    "sub-01": OBLIQUE[:3, 3] + np.array([(10.0, 10, 4), (40, 20, 10), (30, 55, 16)]) @ OBLIQUE[:3, :3].T,
    "sub-02": OBLIQUE[:3, 3] + np.array([(25.0, 35, 8), (45, 50, 12)]) @ OBLIQUE[:3, :3].T,
    "sub-03": np.zeros((0, 3)),
}
"""Findings of each scan [mm]; the last has none."""


def lesions(places):
    """The table of findings at these places."""
    n = len(places)
    table = pd.DataFrame(np.round(places, 2), columns=["x_mm", "y_mm", "z_mm"])
    table["id"] = range(1, n + 1)
    table["probability"] = table["score"] = table["confidence"] = np.linspace(0.9, 0.5, n)
    return table.assign(slice=3, diameter_mm=4.0, kept=True, flags=None).reindex(columns=LESIONS.names)


def detected(folder, places=None, affine=OBLIQUE, shape=SHAPE):
    """A folder of several scans."""
    for name, mine in (PLACES if places is None else places).items():
        with publish(folder / name, Record("detect", {})) as out:
            out.mkdir()
            (out / "summary.json").write_text(json.dumps({"subject": name, "threshold": 0.4}), "utf-8")
            write_tsv(lesions(mine), out / "lesions.tsv")
            labels = spheres(mine, shape, affine, 2.0)
            nib.save(nib.Nifti1Image(labels.astype(np.int16), affine), out / "microbleeds.nii.gz")
    return folder
