"""From the scanner's magnitude and phase to clean volumes: brain mask, high-passed phase, SWI and its minIP."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ..errors import DataError
from .bet import bet
from .brain import BRAIN_ML, find_brain, too_large, volume_ml
from .highpass import gaussian_highpass, homodyne_highpass
from .phase import alternating_slices, phase_scale, to_radians, without_alternation
from .recipe import Cleaning
from .settled_sign import settled_sign
from .sign import SinusEvidence, sinus_evidence, vein_evidence
from .slow_phase import slow_phase
from .swi import extreme_phase, minip, phase_mask, swi
from .unwrap import unwrap_laplacian, unwrap_path

__all__ = ["Acquired", "Cleaned", "UnusableError", "clean"]

Floats = NDArray[np.float32]
Mask = NDArray[np.bool_]

_MAX_INVALID = 0.25  # share of the brain that may be NaN before a scan is refused


class UnusableError(DataError):
    """An image that cannot be what it was given for.

    Attributes
    ----------
    image : str
        Which one: ``phase``, ``structure`` (the magnitude, or else the SWI) or a key of `invalid`.
    """

    def __init__(self, image: str, why: object) -> None:
        super().__init__(str(why))
        self.image = image


@dataclass(frozen=True)
class Acquired:
    """What came from the scanner; all arrays are (i, j, k) and on one grid.

    Attributes
    ----------
    phase : array
        In the file's own unit and sign, or [rad] where `polar`.
    magnitude, swi : array or None
        At least one; a SWI that is given is taken as it is.
    spacing : three floats
        Voxel size [mm].
    invalid : mapping
        Name of an image -> where it is not finite.
    polar : bool
        Magnitude and phase were computed from a real and an imaginary part.
    """

    phase: Floats
    magnitude: Floats | None
    spacing: Sequence[float]
    swi: Floats | None = None
    invalid: Mapping[str, Mask] = field(default_factory=dict)
    polar: bool = False

    @property
    def structure(self) -> Floats:
        """What shows the anatomy: the magnitude, or else the SWI."""
        shown = self.swi if self.magnitude is None else self.magnitude
        assert shown is not None
        return shown


@dataclass
class Cleaned:
    """Clean volumes, (i, j, k) each, and what was learned on the way.

    Attributes
    ----------
    mask : bool array
        The brain.
    volumes : dict
        ``phase`` (high-passed [rad], paramagnetic positive), ``swi``, ``minip`` and, where there was one,
        ``magnitude``: 0 outside the brain.
    steps : dict
        ``wrapped`` and ``unwrapped`` (where it is) phase [rad], ``phasemask`` (0..1).
    brain_ml : float
        Volume of the mask [ml].
    brain_mask : str
        Where it comes from.
    phase_unit : str
        What the file's phase values are.
    phase_sign : str
        The sign, and where it comes from.
    sign : int
    sign_is_sure : bool
        Whether it is seen, or was said of this very scan, and nothing speaks against it.
    notes : list of (image, sentence)
        What a person should look at; the image as in :class:`UnusableError`, or empty.
    """

    mask: Mask
    volumes: dict[str, Floats] = field(default_factory=dict)
    steps: dict[str, Floats] = field(default_factory=dict)
    brain_ml: float = 0.0
    brain_mask: str = ""
    phase_unit: str = ""
    phase_sign: str = ""
    sign: int = 0
    sign_is_sure: bool = False
    notes: list[tuple[str, str]] = field(default_factory=list)

    def note(self, image: str, sentence: str) -> None:
        self.notes.append((image, sentence))


def clean(
    scan: Acquired,
    recipe: Cleaning,
    mask: Mask | None = None,
    *,
    sign_is_known: bool = False,
    extract: tuple[str, Callable[[float], Mask]] | None = None,
) -> Cleaned:
    """Clean a scan.

    Parameters
    ----------
    scan : Acquired
    recipe : Cleaning
    mask : (i, j, k) bool array, optional
        The brain, where somebody has it.
    sign_is_known : bool
        The recipe's `phase_sign` was said of this very scan, and is not what is assumed of all.
    extract : (name, callable), optional
        Another program that gives the brain mask at a fractional intensity threshold; by default the toolkit's BET.

    Raises
    ------
    UnusableError
        If an image cannot be what it was given for, no brain is found in it, or the sign cannot be told.
    """
    done = Cleaned(np.zeros(0, bool))
    wrapped, is_wrapped = _radians(scan, recipe, done)
    done.mask = _brain(scan, recipe, mask, extract, done)
    steps = _filtered(scan, recipe, wrapped, is_wrapped, done)
    _settle_sign(scan, recipe, steps, _where_to_look(scan, recipe, mask is not None, done.mask), sign_is_known, done)
    if done.sign < 0:
        steps = {name: -data for name, data in steps.items()}

    phase, brain = steps.pop("phase"), done.mask
    polarity = 1 if recipe.swi_polarity == "paramagnetic" else -1
    full = np.pi
    if recipe.swi_scaling == "extreme":
        full = extreme_phase(phase, brain, polarity=polarity)
    weight = np.where(brain, phase_mask(phase, polarity=polarity, full=full), 0)
    weighted = np.where(brain, swi(scan.structure, weight, recipe.swi_power) if scan.swi is None else scan.swi, 0)
    done.volumes = {"phase": phase, "swi": weighted, "minip": minip(weighted, recipe.minip_slices, brain)}
    if scan.magnitude is not None:
        done.volumes["magnitude"] = np.where(brain, scan.magnitude, 0)
    done.steps = {**steps, "phasemask": weight}
    return done


def _radians(scan: Acquired, recipe: Cleaning, done: Cleaned) -> tuple[Floats, bool]:
    """The phase [rad], and whether it is wrapped."""
    if scan.polar:
        done.phase_unit = "radians, of complex values"
        return scan.phase, True
    invalid = scan.invalid.get("phase")
    try:
        scale = phase_scale(scan.phase if invalid is None else scan.phase[~invalid], recipe.phase_range)
    except DataError as error:
        raise UnusableError("phase", error) from error
    done.phase_unit = scale.unit
    done.notes += [("phase", warning) for warning in scale.warnings]
    return to_radians(scan.phase, scale), scale.wrapped


def _brain(
    scan: Acquired,
    recipe: Cleaning,
    given: Mask | None,
    extract: tuple[str, Callable[[float], Mask]] | None,
    done: Cleaned,
) -> Mask:
    """The mask: the user's, BET's, or every voxel with signal; never where an image is not finite."""
    if given is not None:
        mask, done.brain_mask = given, "given"
    elif recipe.brain_mask == "none":
        mask, done.brain_mask = scan.structure > 0, "all voxels with signal"
    else:
        mask = _extracted(scan, recipe, extract, done)
    if (given is not None or recipe.brain_mask == "none") and too_large(mask, scan.spacing):
        what = "all voxels with signal are" if given is None else "the mask that was given holds"
        done.note(
            "",
            f"{what} {volume_ml(mask, scan.spacing):.0f} ml, more than any brain ({BRAIN_ML[1]:.0f} ml): there is "
            "skull, neck or air in it, whose phase is noise; find the brain with --brain-mask own, or give another "
            "mask",
        )
    whole = mask
    for image, invalid in scan.invalid.items():
        share = float(invalid[whole].mean()) if whole.any() else 0.0
        if share > _MAX_INVALID and (given is not None or recipe.brain_mask != "none"):
            raise UnusableError(
                image, f"{share:.0%} of the brain is NaN or infinite. Convert or export the scan again."
            )
        if share > 0:
            done.note(image, f"{share:.2%} of the brain is NaN and was left out")
            mask = mask & ~invalid
    if not mask.any():
        raise UnusableError("structure", "no voxel is left in the brain mask. Give another mask.")
    done.brain_ml = round(volume_ml(mask, scan.spacing), 1)
    return mask


def _extracted(
    scan: Acquired, recipe: Cleaning, extract: tuple[str, Callable[[float], Mask]] | None, done: Cleaned
) -> Mask:
    """The brain as the toolkit's own BET or another program finds it, where its volume can be a brain's."""
    folded: dict[float, float] = {}

    def own(fraction: float) -> Mask:
        try:
            found = bet(scan.structure, scan.spacing, fraction=fraction, gradient=recipe.bet_gradient)
        except DataError as error:
            raise UnusableError("structure", error) from error
        folded[fraction] = found.folded if found.uncertain else 0.0
        return found.mask

    done.brain_mask, program = extract or ("own BET", own)
    asked = recipe.bet_fraction
    brain = find_brain(program, scan.spacing, asked)
    if folded.get(brain.fraction):
        done.note(
            "",
            f"the surface of the brain still folds in {folded[brain.fraction]:.1%} of its points: look at the mask",
        )
    if brain.asked_ml is not None:
        done.brain_mask += f", fraction {brain.fraction:g}"
        done.note(
            "",
            f"the brain mask at --bet-fraction {asked:g} holds {brain.asked_ml:.0f} ml, which is hardly a brain; taken "
            f"was --bet-fraction {brain.fraction:g} with {brain.volume_ml:.0f} ml, around which the mask stays alike: "
            "look at the mask",
        )
    if brain.doubt:
        way = "larger" if brain.doubt == "large" else "smaller"
        other = "smaller" if brain.doubt == "large" else "larger"
        done.note(
            "",
            f"the brain mask holds {brain.volume_ml:.0f} ml, too {brain.doubt} or unsteady (a brain has "
            f"{BRAIN_ML[0]:.0f} to {BRAIN_ML[1]:.0f}), and no other --bet-fraction gave a better one: look at it, and "
            f"give a mask, or try a {way} --bet-fraction (it gives a {other} brain)",
        )
    return brain.mask


def _filtered(scan: Acquired, recipe: Cleaning, wrapped: Floats, is_wrapped: bool, done: Cleaned) -> dict[str, Floats]:
    """The phase in the file's own sign: ``wrapped``, ``unwrapped`` where it is, and ``phase``, the high-passed one."""
    structure, mask, spacing = scan.structure, done.mask, scan.spacing
    matters = recipe.highpass == "gaussian" or recipe.fix_ge_phase  # the homodyne filter is blind to it
    if is_wrapped and not recipe.phase_is_filtered and matters and alternating_slices(wrapped, mask):
        found = "the phase jumps by about pi from slice to slice, as some GE reconstructions make it"
        remedy = "it was undone" if recipe.fix_ge_phase else "undo it with --fix-ge-phase"
        done.note("phase", f"{found}; {remedy}")
        if recipe.fix_ge_phase:
            wrapped = without_alternation(wrapped)
    steps = {"wrapped": wrapped}
    varies = slow_phase(wrapped, structure, mask, spacing)
    if recipe.phase_is_filtered:
        if varies.is_unfiltered:
            done.note(
                "phase",
                "the phase of half of the brain's surroundings, averaged over centimetres, is beyond "
                f"{varies.slow:.2f} rad, where filtered phase is near 0; leave out --phase-is-filtered if it was "
                "not filtered",
            )
        return steps | {"phase": np.where(mask, np.clip(wrapped, -np.pi, np.pi), 0).astype(np.float32)}
    if varies.is_filtered:
        done.note(
            "phase",
            "the phase looks high-passed already (averaged over centimetres, half of the brain is within "
            f"{varies.slow:.2f} rad of 0), and filtering it again lowers microbleeds; say --phase-is-filtered if "
            "it was",
        )
    if recipe.highpass == "homodyne":
        return steps | {"phase": homodyne_highpass(structure, wrapped, mask, spacing)}
    unwrapped = wrapped
    if is_wrapped and recipe.unwrap == "laplacian":
        unwrapped = unwrap_laplacian(wrapped, mask, spacing)
    elif is_wrapped:
        unwrapped = unwrap_path(wrapped, mask)
    filtered = gaussian_highpass(unwrapped, mask, spacing, magnitude=structure)
    return steps | {"unwrapped": np.where(mask, unwrapped, 0).astype(np.float32), "phase": filtered}


def _where_to_look(scan: Acquired, recipe: Cleaning, given: bool, mask: Mask) -> Mask:
    """Where to look for veins and sinuses: scalp and neck know nothing of them, if every voxel with signal is taken."""
    if given or recipe.brain_mask != "none":
        return mask
    try:
        brain = find_brain(
            lambda fraction: bet(scan.structure, scan.spacing, fraction=fraction).mask,
            scan.spacing,
            recipe.bet_fraction,
        )
    except DataError:  # no head in it: a crop
        return mask
    return mask & brain.mask


def _settle_sign(
    scan: Acquired, recipe: Cleaning, steps: Mapping[str, Floats], brain: Mask, is_known: bool, done: Cleaned
) -> None:
    """The sign that was given, with a note where what is seen contradicts it; or the one that is seen."""
    structure, spacing = scan.structure, scan.spacing
    veins, unwrapped = steps["phase"], steps.get("unwrapped")
    if recipe.unwrap == "laplacian" and not recipe.phase_is_filtered:
        # Laplacian unwrapping distorts dipoles on coarse voxels, so the veins are asked on the homodyne phase
        veins = homodyne_highpass(structure, steps["wrapped"], brain, spacing)
    if unwrapped is None and recipe.phase_sign == "auto" and not recipe.phase_is_filtered:
        unwrapped = unwrap_path(steps["wrapped"], brain)
    seen = vein_evidence(veins, structure, brain, spacing)
    sinuses = SinusEvidence() if unwrapped is None else sinus_evidence(unwrapped, structure, brain, spacing)
    try:
        settled = settled_sign(recipe.phase_sign, in_table=is_known, veins=seen, sinuses=sinuses)
    except DataError as error:
        raise UnusableError("phase", error) from error
    done.sign, done.phase_sign, done.sign_is_sure = settled.sign, settled.why, settled.sure
    if settled.warning:
        done.note("phase", settled.warning)
