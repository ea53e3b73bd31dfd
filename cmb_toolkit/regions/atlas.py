"""The regions of the Microbleed Anatomical Rating Scale (MARS; Gregoire et al. 2009), as numbers on the MNI152 brain.

The label map `mars.nii.gz` is that of https://github.com/v-sundaresan/microbleed-size-counting (MIT; its notice is
`mars.LICENSE`), whose values are squares of the labels: here they are the labels, on canonical axes.
"""

from __future__ import annotations

import gzip
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import nibabel as nib
import numpy as np
from nibabel.affines import apply_affine
from numpy.typing import ArrayLike, NDArray

__all__ = ["GROUPS", "GROUP_OF", "REGIONS", "Atlas", "mars"]

GROUPS = {
    "infratentorial": ("brainstem", "cerebellum"),
    "deep": (
        "basal ganglia",
        "thalamus",
        "internal capsule",
        "external capsule",
        "corpus callosum",
        "deep white matter",
    ),
    "lobar": ("frontal", "parietal", "temporal", "occipital", "insula"),
}
"""MARS's three groups and their regions, in the order of the labels."""

REGIONS = tuple(region for regions in GROUPS.values() for region in regions)
"""Label 1 is the first; deep white matter is the deep and periventricular one."""

GROUP_OF = {region: group for group, regions in GROUPS.items() for region in regions}


@dataclass(frozen=True, eq=False)
class Atlas:
    """A label map.

    Attributes
    ----------
    labels : (i, j, k) uint8 array
        0 is none of the :data:`REGIONS`.
    affine : (4, 4) array
        From its voxels to the template's world [mm], RAS.
    """

    labels: NDArray[np.uint8]
    affine: NDArray[np.float64]

    def at(self, points: ArrayLike) -> NDArray[np.uint8]:
        """The label of the voxel that holds each point (..., 3) [mm]; 0 outside."""
        index = np.rint(apply_affine(np.linalg.inv(self.affine), np.asarray(points, float))).astype(int)
        inside = ((index >= 0) & (index < self.labels.shape)).all(axis=-1)
        labels = np.zeros(inside.shape, np.uint8)
        labels[inside] = self.labels[tuple(np.moveaxis(index[inside], -1, 0))]
        return labels

    def distances(self, point: Sequence[float], within_mm: float) -> NDArray[np.float64]:
        """How far each region is from a point [mm]: 0 of the one that holds it, infinite beyond a distance.

        Returns
        -------
        (13,) array
            From the point to the nearest voxel's middle.
        """
        away = np.full(len(REGIONS), np.inf)
        side = np.linalg.norm(self.affine[:3, :3], axis=0)
        centre = apply_affine(np.linalg.inv(self.affine), np.asarray(point, float))
        shape = np.array(self.labels.shape)
        low = np.clip(np.floor(centre - within_mm / side), 0, shape).astype(int)
        high = np.clip(np.ceil(centre + within_mm / side) + 1, 0, shape).astype(int)
        part = self.labels[tuple(slice(a, b) for a, b in zip(low, high, strict=True))]
        places = np.argwhere(part)
        far = np.linalg.norm((places + low - centre) * side, axis=1)
        np.minimum.at(away, part[tuple(places.T)].astype(int) - 1, far)
        away[away > within_mm] = np.inf
        own = int(self.at(point))
        if own:
            away[own - 1] = 0.0
        return away


@cache
def mars() -> Atlas:
    """The label map that comes with the toolkit, 1 mm."""
    packed = (files("cmb_toolkit") / "regions" / "mars.nii.gz").read_bytes()
    image = nib.Nifti1Image.from_bytes(gzip.decompress(packed))
    return Atlas(np.asarray(image.dataobj, np.uint8), image.affine)
