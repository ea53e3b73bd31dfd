"""Which sign of the phase is taken: the one that was given, held against what is seen, or the one that is seen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ..errors import DataError
from .sign import SinusEvidence, VeinEvidence, agreed_sign

__all__ = ["LOOKS_WRONG", "SettledSign", "settled_sign"]

LOOKS_WRONG = "the phase sign looks wrong"
"""In a warning of a scan whose sign was given or assumed, and is not what is seen."""


@dataclass(frozen=True)
class SettledSign:
    """The sign that is taken.

    Attributes
    ----------
    sign : int
    why : str
        The sign, and where it comes from.
    warning : str
        What speaks against it; empty where nothing does.
    sure : bool
        Whether it is seen, or was said of this very scan, and nothing speaks against it.
    """

    sign: int
    why: str
    warning: str = ""
    sure: bool = True


def settled_sign(
    asked: int | Literal["auto"], *, in_table: bool, veins: VeinEvidence, sinuses: SinusEvidence
) -> SettledSign:
    """Settle the sign of a scan's phase.

    Parameters
    ----------
    asked : {1, -1, "auto"}
    in_table : bool
        Whether it was said of this very scan; otherwise it is assumed, as of all others that nothing is known of.
    veins, sinuses : evidence
        Of the phase with the file's own sign.

    Raises
    ------
    DataError
        If it is to be seen and the witnesses contradict each other or see too little.
    """
    seen = agreed_sign(veins, sinuses)
    if asked == "auto":
        if not seen:
            raise DataError(_why_not(veins, sinuses))
        witnesses = {"veins": (veins.verdict, _veins(veins)), "sinuses": (sinuses.verdict, _sinuses(sinuses))}
        heard = {name: text for name, (verdict, text) in witnesses.items() if verdict}
        return SettledSign(
            seen, f"{seen:+d} from the {' and the '.join(heard)}: in the file, {'; '.join(heard.values())}"
        )
    why = f"{asked:+d} as given" if in_table else f"{asked:+d} assumed, as --phase-sign says of scans without one"
    if seen != -asked:
        return SettledSign(asked, why, sure=in_table or seen == asked)
    return SettledSign(
        asked,
        why,
        f"{LOOKS_WRONG}: with phase_sign {asked:+d}, {_veins(veins, asked)}, and "
        f"{_sinuses(sinuses, asked)}; most should be positive. Look at the SWI, and set phase_sign {-asked:+d} if its "
        "veins are bright",
        sure=False,
    )


def _why_not(veins: VeinEvidence, sinuses: SinusEvidence) -> str:
    trouble = "the sign of the phase is not to be seen"
    if veins.verdict and sinuses.verdict:
        trouble = "veins and sinuses contradict each other on the sign of the phase"
    return (
        f"{trouble}: in the file, {_veins(veins)}, and {_sinuses(sinuses)}. Look at the phase: where veins are bright, "
        "say --phase-sign +1, where they are dark, -1 (of single scans in the column phase_sign of participants.tsv)."
    )


def _veins(found: VeinEvidence, sign: int = 1) -> str:
    if not found.voxels:
        return "there are no dark vessel-like voxels to ask"
    positive = found.positive if sign > 0 else found.voxels - found.positive
    return (
        f"{positive} of {found.voxels} dark vessel-like voxels ({positive / found.voxels:.0%}) are positive, median "
        f"{sign * found.median:+.2f} rad"
    )


def _sinuses(found: SinusEvidence, sign: int = 1) -> str:
    if not found.columns:
        return "no frontal lobe over the sinuses is in view"
    raised = found.raised if sign > 0 else found.columns - found.raised
    return (
        f"over the sinuses the phase rises towards the air in {raised} of {found.columns} columns "
        f"({raised / found.columns:.0%}), median {sign * found.median:+.2f} rad"
    )
