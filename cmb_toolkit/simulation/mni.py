"""A head from the MNI152 template (ICBM 2009a, nonlinear) as nilearn carries it, in place of the procedural one.

Gyri, fissures and ventricles are those of the average of 152 people, through a random pose and warp; the nuclei, the
skull and everything outside it are the procedural head's, which lies in the same frame. Outer folds look more real than
procedural ones, inner ones stay blurred, and all subjects are one brain, so this anatomy is there to compare with.
Needs nilearn (the extra ``mni``); the template comes with it and keeps its own terms (McGill's ICBM licence).
"""

from __future__ import annotations

from functools import cache

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from ..errors import MissingError
from ..extras import how_to_install
from .anatomy import Builder, Head, Pose, warped
from .grid import Grid
from .shapes import partial_volume
from .signal import Array

__all__ = ["MNI_WARP_MM", "make_mni_head"]

MNI_WARP_MM = 2.4
"""As :data:`cmb_toolkit.simulation.anatomy.WARP_MM`, of the template."""
_SHARPNESS = 4
"""Power of the tissue maps: an average of many brains is blurred."""
_CENTRAL = (-45.0, -80.0, -32.0), (45.0, 50.0, 36.0)
"""Box that holds the ventricles [mm]."""


def make_mni_head(rng: np.random.Generator, grid: Grid, *, atrophy: float) -> Head:
    """Draw a head; parameters as for :func:`cmb_toolkit.simulation.anatomy.make_head`.

    Raises
    ------
    MissingError
        Without nilearn.
    """
    pose = Pose.draw(rng)
    return _MniBuilder(rng, grid, pose, warped(rng, grid, pose, MNI_WARP_MM), atrophy).build()


@cache
def _template() -> tuple[Grid, dict[str, Array]]:
    """Its grid, tissue shares 0..1 after sharpening, and distances [mm] to surface, ventricles and sulci."""
    try:
        from nilearn import datasets
    except ImportError as error:
        raise MissingError(
            f"the MNI152 anatomy needs nilearn, which is not installed. Install it with "
            f"`{how_to_install('mni')}`, or use --anatomy procedural."
        ) from error
    maps = {
        name: load(resolution=1)
        for name, load in (
            ("grey", datasets.load_mni152_gm_template),
            ("white", datasets.load_mni152_wm_template),
            ("brain", datasets.load_mni152_brain_mask),
        )
    }
    affine, shape = maps["brain"].affine, maps["brain"].shape
    grid = Grid(tuple(affine[:3, 3].tolist()), (1.0, 1.0, 1.0), shape)
    grey, white, inside = (np.asarray(maps[name].dataobj, np.float32) for name in ("grey", "white", "brain"))
    fluid = np.clip(inside - grey - white, 0, 1)
    powers = [share**_SHARPNESS for share in (grey, white, fluid)]
    total = np.maximum(sum(powers), np.float32(1e-6))
    grey, white, fluid = (np.asarray(share / total * inside, np.float32) for share in powers)
    deep = np.zeros(shape, bool)
    deep[grid.box(*_CENTRAL)] = True
    bodies, _ = ndimage.label((fluid > 0.5) & deep & (_distance(inside > 0.5) < -12))
    largest = bodies == np.bincount(bodies[bodies > 0]).argmax()
    return grid, {
        "grey": grey,
        "white": white,
        "brain": _distance(inside > 0.5),
        "ventricle": _distance(largest),
        "sulcus": _distance((fluid > 0.5) & ~largest),
    }


def _distance(body: npt.NDArray[np.bool_]) -> Array:
    """Signed distance [mm] on a grid of 1 mm, negative inside."""
    outside, within = ndimage.distance_transform_edt(~body), ndimage.distance_transform_edt(body)
    return np.asarray(outside - within, np.float32)


class _MniBuilder(Builder):
    """The procedural head with the template's brain in it."""

    def _lobes(self) -> None:
        super()._lobes()
        grid, maps = _template()
        places = [(p - np.float32(o)) for p, o in zip(self.points, grid.origin, strict=True)]
        self.maps = {
            name: ndimage.map_coordinates(volume, places, order=1, mode="nearest", prefilter=False)
            for name, volume in maps.items()
        }
        surface = self.maps["brain"]
        self.cerebellum = np.maximum(surface, self.cerebellum - 3)
        self.brainstem = np.maximum(surface, self.brainstem - 1)
        self.cerebrum = np.maximum(surface, -np.minimum(self.cerebellum, self.brainstem))

    def _sulci(self) -> Array:
        super()._sulci()
        return self.maps["sulcus"]

    def _ventricles(self) -> None:
        super()._ventricles()
        self.ventricle = self.maps["ventricle"]

    def _brain_tissues(self, nuclei: dict[str, Array]) -> dict[str, Array]:
        self.brain = partial_volume(self.maps["brain"])
        grey, white = self.maps["grey"] * self.brain, self.maps["white"] * self.brain
        fractions = {"csf": np.clip(self.brain - grey - white, 0, 1)}
        rest = self.brain - fractions["csf"]
        for name, distance in nuclei.items():
            fractions[name] = partial_volume(distance, 0.96) * np.clip(rest, 0, 1)
            rest = rest - fractions[name]
        grey = np.minimum(grey, np.clip(rest, 0, 1))
        fractions["cortex"] = np.where(self.in_cerebellum, np.float32(0), grey)
        fractions["cerebellar cortex"] = np.where(self.in_cerebellum, grey, np.float32(0))
        fractions["white matter"] = np.clip(rest - grey, 0, 1)
        return fractions
