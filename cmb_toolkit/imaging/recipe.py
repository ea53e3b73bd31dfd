"""How a scan is read and cleaned, and how its volumes become images."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from ..recipe import Recipe, option

__all__ = ["Background", "Cleaning", "Mode", "PhaseRange", "Preprocessing", "Reading", "Scale"]

Scale: TypeAlias = Literal["paper", "slice", "fixed"]
Background: TypeAlias = Literal["black", "white"]
Mode: TypeAlias = Literal["auto", "crop", "resize"]
PhaseRange: TypeAlias = float | Literal["radians"] | None

_PHASE_RANGE: dict[str, Any] = {
    "help": "File units that one full cycle of phase spans (for example 4096), or `radians`.",
    "above": 0,
    "otherwise": "the column phase_range, or recognised from the values",
}


@dataclass(frozen=True)
class _Volumes(Recipe):
    """Which volumes of 4-D files are read; what is known of a scan alone comes first."""

    echo: int | None = option(
        None,
        "Which volume of 4-D files, counted from 1; in a study see also its column echo.",
        least=1,
        metavar="N",
    )
    phase_volume: int | None = option(
        None,
        "The same for the phase alone, where 4-D files hold magnitude and phase one after the other.",
        least=1,
        metavar="N",
    )


@dataclass(frozen=True)
class Reading(_Volumes):
    """How scans are read to look at them."""

    phase_range: PhaseRange = option(None, **_PHASE_RANGE)


@dataclass(frozen=True)
class Cleaning(Recipe):
    """How scans are cleaned."""

    phase_sign: Literal[1, -1, "auto"] = option(
        1,
        "+1 if the phase is paramagnetic positive (veins bright), -1 if veins are dark; auto asks veins and "
        "sinuses of each scan. In a study, for those whose column phase_sign is n/a.",
    )
    phase_range: PhaseRange = option(None, **_PHASE_RANGE)
    phase_is_filtered: bool = option(
        False, "The phase is unwrapped and high-passed already, as a scanner's SWI phase images are."
    )
    fix_ge_phase: bool = option(
        False, "Undo jumps of pi from every slice to the next, in scans that have them (some GE reconstructions)."
    )
    unwrap: Literal["path", "laplacian"] = option(
        "path", "Exact unwrapping along a path, or the smoother Laplacian one (dipoles a third weaker)."
    )
    highpass: Literal["gaussian", "homodyne"] = option(
        "gaussian", "Gaussian of 2.5 mm after unwrapping, or the homodyne filter of 0.25 cycles/mm without."
    )
    brain_mask: Literal["own", "fsl", "none"] = option(
        "own",
        "What finds the brain where no mask is given: the toolkit's own BET; FSL's bet, if it is installed; or "
        "none, which takes all voxels with signal (crops, volumes without a skull).",
    )
    bet_fraction: float = option(
        0.5,
        "Intensity threshold of either BET, 0 to 1: smaller gives a larger brain.",
        above=0,
        below=1,
        metavar="F",
    )
    bet_gradient: float = option(
        0.0,
        "Added to it from the head's lower end (-) to its upper (+), -1 to 1: positive, a larger brain below.",
        least=-1,
        most=1,
        metavar="G",
    )
    swi_power: int = option(
        4, "How many times the phase mask multiplies the magnitude.", least=1, most=100, metavar="N"
    )
    swi_polarity: Literal["paramagnetic", "diamagnetic"] = option(
        "paramagnetic", "What the SWI darkens: blood, or calcification."
    )
    swi_scaling: Literal["pi", "extreme"] = option(
        "pi", "Phase at which the phase mask reaches 0: pi, or the scan's own 99.9th percentile."
    )
    minip_slices: int = option(5, "Slices in one minimum-intensity projection.", least=1, most=1000, metavar="N")


@dataclass(frozen=True)
class Preprocessing(Cleaning, _Volumes):
    """How scans are read, cleaned and stored."""

    output_type: Literal["float32", "int16"] = option(
        "float32",
        "As what volumes are stored; int16 is about half as large, and exact within 1/65534 of the largest value.",
        in_settings=False,
    )
    save_steps: bool = option(
        False, "Write the phase in radians, unwrapped, and the phase mask, too.", in_settings=False
    )
