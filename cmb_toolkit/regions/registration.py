"""One brain laid on another by SimpleITK: Mattes' mutual information, from coarse to fine, equal every time.

Images are handed over on their own axes [mm], without a direction, and the map between the two worlds is put together
again afterwards: no change between RAS and LPS, and no header that is not quite orthogonal, can come in between.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from nibabel.affines import apply_affine
from numpy.typing import NDArray
from scipy import ndimage

from ..errors import MissingError
from ..extras import how_to_install
from .brain import Brain

if TYPE_CHECKING:
    import SimpleITK

__all__ = ["Laid", "check_installed", "lay"]

_SHRINK = (4, 2, 1)
_SMOOTH = (2, 1, 0)  # voxels
_SAMPLED = (0.5, 0.2, 0.05)
"""Share of the voxels that the measure is taken of, on each level."""

_BINS = 32
_STEPS = 200
_SEED = 1
_EVEN_MM = 20.0
"""Width of the blur that uneven brightness is told by: without it scans lie two millimetres worse."""

_BORDER_MM = 12.0
"""Black around the brain, so that its edge counts."""


@dataclass(frozen=True, eq=False)
class Laid:
    """How a brain lies on another.

    Attributes
    ----------
    matrix : (4, 4) array
        From its world to the other's [mm].
    overlap : float
        Dice of the two brains where the first scan has seen anything, 0..1.
    similarity : float
        Mutual information, larger is better; of one pair only to compare.
    """

    matrix: NDArray[np.float64]
    overlap: float
    similarity: float


def check_installed(what: str) -> None:
    """Refuse at once where SimpleITK or nilearn is missing.

    Parameters
    ----------
    what : str
        Who needs them: an option.

    Raises
    ------
    MissingError
    """
    from importlib.util import find_spec

    lost = [name for name in ("SimpleITK", "nilearn") if find_spec(name) is None]
    if lost:
        raise MissingError(
            f"{what} needs {' and '.join(lost)}, which {'are' if len(lost) > 1 else 'is'} not installed. Install with "
            f"`{how_to_install('regions')}`."
        )


def lay(brain: Brain, onto: Brain, kind: Literal["affine", "rigid"]) -> Laid:
    """Lay one brain on another.

    Parameters
    ----------
    brain, onto : Brain
        Heads that lie alike but for some 30 degrees: both look the same way in their worlds.
    kind : {"affine", "rigid"}

    Raises
    ------
    MissingError
        Without SimpleITK.
    """
    check_installed("laying one brain on another")
    import SimpleITK

    fixed, moving = (_padded(_even(each)) for each in (brain, onto))
    own, other = (each.affine @ np.diag([*(1 / np.array(each.spacing)), 1]) for each in (fixed, moving))
    start = np.linalg.inv(other) @ own
    centre, goal = (_middle(each) for each in (fixed, moving))
    transform: Any
    if kind == "affine":
        transform = SimpleITK.AffineTransform(3)
        transform.SetMatrix(start[:3, :3].ravel().tolist())
    else:
        u, _, v = np.linalg.svd(start[:3, :3])
        transform = SimpleITK.Euler3DTransform()
        transform.SetMatrix((u @ v).ravel().tolist())
    transform.SetCenter(centre.tolist())
    transform.SetTranslation((goal - centre).tolist())
    method = SimpleITK.ImageRegistrationMethod()
    method.SetGlobalDefaultNumberOfThreads(1)
    method.SetNumberOfThreads(1)  # sums of several threads come in any order
    method.SetMetricAsMattesMutualInformation(_BINS)
    method.SetMetricSamplingStrategy(method.RANDOM)
    method.SetMetricSamplingPercentagePerLevel(_SAMPLED, _SEED)
    method.SetInterpolator(SimpleITK.sitkLinear)
    method.SetShrinkFactorsPerLevel(_SHRINK)
    method.SetSmoothingSigmasPerLevel(_SMOOTH)
    method.SmoothingSigmasAreSpecifiedInPhysicalUnitsOff()
    method.SetOptimizerAsRegularStepGradientDescent(
        learningRate=1.0, minStep=1e-4, numberOfIterations=_STEPS, gradientMagnitudeTolerance=1e-8
    )
    method.SetOptimizerScalesFromPhysicalShift()
    method.SetInitialTransform(transform, inPlace=True)
    method.Execute(_image(fixed), _image(moving))
    found = np.eye(4)
    found[:3, :3] = np.reshape(transform.GetMatrix(), (3, 3))
    found[:3, 3] = centre + transform.GetTranslation() - found[:3, :3] @ centre
    matrix = other @ found @ np.linalg.inv(own)
    return Laid(matrix, _overlap(brain, onto, matrix), -float(method.GetMetricValue()))


def _even(brain: Brain) -> Brain:
    """Without the slow changes of brightness that coils make."""
    sigma = [_EVEN_MM / side for side in brain.spacing]
    share = ndimage.gaussian_filter(brain.mask.astype(np.float32), sigma, mode="constant")
    around = ndimage.gaussian_filter(brain.image, sigma, mode="constant") / np.maximum(share, 1e-6)
    return Brain(np.where(brain.mask, brain.image / np.maximum(around, 1e-30), 0).astype(np.float32), brain.affine)


def _padded(brain: Brain) -> Brain:
    wide = [int(np.ceil(_BORDER_MM / side)) for side in brain.spacing]
    moved = np.eye(4)
    moved[:3, 3] = -np.array(wide)
    return Brain(np.pad(brain.image, [(n, n) for n in wide]), brain.affine @ moved)


def _middle(brain: Brain) -> NDArray[np.float64]:
    """The middle of the brain on its own axes [mm]."""
    middle: NDArray[np.float64] = np.argwhere(brain.mask).mean(axis=0) * brain.spacing
    return middle


def _image(brain: Brain) -> SimpleITK.Image:
    import SimpleITK

    image: SimpleITK.Image = SimpleITK.GetImageFromArray(np.ascontiguousarray(brain.image.T))
    image.SetSpacing(brain.spacing)
    return image


def _overlap(brain: Brain, onto: Brain, matrix: NDArray[np.float64]) -> float:
    """Dice on the voxels of the first."""
    to_other = np.linalg.inv(onto.affine) @ matrix @ brain.affine
    places = apply_affine(to_other, np.moveaxis(np.indices(brain.image.shape), 0, -1))
    there = ndimage.map_coordinates(onto.mask.astype(np.float32), np.moveaxis(places, -1, 0), order=1) > 0.5
    return float(2 * (there & brain.mask).sum() / max(1, there.sum() + brain.mask.sum()))
