"""Physical constants and typical tissue properties at 3 T.

The numbers are typical values of the literature (Wansapura 1999, Stanisz 2005, Lu 2005, Peters 2007 for relaxation;
Lu 2004 and Zhao 2007 for venous blood; Langkammer 2010 and 2012, Wharton & Bowtell 2010, Lim 2013 for the deep grey
nuclei; Schenck 1996 for air, bone and water), meant to make plausible images and not to be quoted.
"""

from __future__ import annotations

from typing import NamedTuple

__all__ = [
    "AIR_PPM",
    "FIELD_STRENGTH_T",
    "GYROMAGNETIC_RATIO_HZ_PER_T",
    "IRON_RICH",
    "TISSUES",
    "Tissue",
    "venous_susceptibility",
]

GYROMAGNETIC_RATIO_HZ_PER_T = 42.577478518e6
"""Of the proton, divided by 2 pi."""

FIELD_STRENGTH_T = 3.0


class Tissue(NamedTuple):
    """What decides a tissue's signal: T1 and T2* [ms], proton density (CSF = 1), susceptibility [ppm, water = 0]."""

    t1_ms: float
    t2star_ms: float
    proton_density: float
    susceptibility_ppm: float


AIR_PPM = 9.4

TISSUES: dict[str, Tissue] = {
    "csf": Tissue(4300, 500, 1.00, 0.0),
    "cortex": Tissue(1400, 58, 0.83, 0.015),
    "white matter": Tissue(1000, 50, 0.70, -0.030),
    "white matter lesion": Tissue(1350, 75, 0.82, -0.005),
    "cerebellar cortex": Tissue(1250, 52, 0.78, 0.0),
    "caudate": Tissue(1400, 42, 0.82, 0.050),
    "putamen": Tissue(1320, 36, 0.81, 0.075),
    "pallidum": Tissue(1100, 24, 0.74, 0.150),
    "thalamus": Tissue(1250, 46, 0.78, 0.010),
    "substantia nigra": Tissue(1150, 27, 0.74, 0.120),
    "red nucleus": Tissue(1150, 30, 0.74, 0.105),
    "dentate": Tissue(1200, 31, 0.76, 0.100),
    "venous blood": Tissue(1600, 24, 0.86, 0.0),  # susceptibility depends on oxygenation: venous_susceptibility
    "bone": Tissue(500, 1, 0.10, -2.0),
    "marrow": Tissue(400, 7, 0.70, -1.0),
    "scalp": Tissue(400, 28, 0.90, 0.3),
    "muscle": Tissue(1400, 28, 0.75, 0.0),
    "air": Tissue(1000, 1, 0.0, AIR_PPM),
}

IRON_RICH: tuple[str, ...] = ("pallidum", "putamen", "caudate", "substantia nigra", "red nucleus", "dentate")
"""Nuclei whose susceptibility varies from person to person with their iron."""


def venous_susceptibility(oxygenation: float, haematocrit: float = 0.42) -> float:
    """Susceptibility of venous blood relative to brain tissue [ppm].

    4 pi times 0.27 ppm (cgs) for fully deoxygenated red cells (Spees 2001, Jain 2012), times 0.85 for the offset of
    brain tissue.

    Parameters
    ----------
    oxygenation : float
        Fraction of oxygenated haemoglobin; 0.52 to 0.66 in cerebral veins.
    """
    return 12.566370614 * 0.27 * haematocrit * (1 - oxygenation) * 0.85
