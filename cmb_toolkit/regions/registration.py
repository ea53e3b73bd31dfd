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


@dataclass(frozen=True, eq=False)
class Laid:
    """How a brain lies on another.

    Attributes
    ----------
    matrix : (4, 4) array
        From its world to the other's [mm].
    shared : float
        How much of the first brain the other scan shows, 0..1.
    similarity : float
        Mutual information of the two brains and the black around them [nat], which tells whether to believe the map.
    """

    matrix: NDArray[np.float64]
    shared: float
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
    fixed, moving = (_even(each) for each in (brain, onto))
    own, other = (each.affine @ np.diag([*(1 / np.array(each.spacing)), 1]) for each in (fixed, moving))
    header = np.linalg.inv(other) @ own
    centre, goal = (_middle(each) for each in (fixed, moving))
    # by the middle of the brains; two scans of one person also as their headers say, as slabs may show other parts
    starts = [goal] if kind == "affine" else [goal, apply_affine(header, centre)]
    found = [_from(fixed, moving, kind, header[:3, :3], centre, start) for start in starts]
    similarity, matrix = max(found, key=lambda one: one[0])
    matrix = other @ matrix @ np.linalg.inv(own)
    return Laid(matrix, _shared(brain, onto, matrix), similarity)


def _from(
    fixed: Brain,
    moving: Brain,
    kind: Literal["affine", "rigid"],
    turn: NDArray[np.float64],
    centre: NDArray[np.float64],
    goal: NDArray[np.float64],
) -> tuple[float, NDArray[np.float64]]:
    """Similarity and map, between the images' own axes [mm], from a start that leads the centre to a goal."""
    import SimpleITK

    transform: Any
    if kind == "affine":
        transform = SimpleITK.AffineTransform(3)
        transform.SetMatrix(turn.ravel().tolist())
    else:
        u, _, v = np.linalg.svd(turn)
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
    matrix = np.eye(4)
    matrix[:3, :3] = np.reshape(transform.GetMatrix(), (3, 3))
    matrix[:3, 3] = centre + transform.GetTranslation() - matrix[:3, :3] @ centre
    return -float(method.GetMetricValue()), matrix


def _even(brain: Brain) -> Brain:
    """Without the slow changes of brightness that coils make."""
    sigma = [_EVEN_MM / side for side in brain.spacing]
    share = ndimage.gaussian_filter(brain.mask.astype(np.float32), sigma, mode="constant")
    around = ndimage.gaussian_filter(brain.image, sigma, mode="constant") / np.maximum(share, 1e-6)
    return Brain(np.where(brain.mask, brain.image / np.maximum(around, 1e-30), 0).astype(np.float32), brain.affine)


def _middle(brain: Brain) -> NDArray[np.float64]:
    """The middle of the brain on its own axes [mm]."""
    middle: NDArray[np.float64] = np.argwhere(brain.mask).mean(axis=0) * brain.spacing
    return middle


def _image(brain: Brain) -> SimpleITK.Image:
    import SimpleITK

    image: SimpleITK.Image = SimpleITK.GetImageFromArray(np.ascontiguousarray(brain.image.T))
    image.SetSpacing(brain.spacing)
    return image


def _shared(brain: Brain, onto: Brain, matrix: NDArray[np.float64]) -> float:
    """The share of the first brain in what the other scan shows."""
    to_other = np.linalg.inv(onto.affine) @ matrix @ brain.affine
    places = apply_affine(to_other, np.argwhere(brain.mask))
    shown = ((places > -0.5) & (places < np.array(onto.image.shape) - 0.5)).all(axis=-1)
    return float(shown.sum() / max(1, len(shown)))
