"""What things are called in DICOM: (value, scheme, meaning) of each, as SNOMED CT (SCT) and others have it.

``99CMBTK`` is the toolkit's own scheme, for what no public one has a fitting code.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = [
    "ABNORMAL",
    "BRAIN",
    "DETECTED",
    "DIAMETER",
    "INTELLIGENCE",
    "LIGHT",
    "LIGHTS",
    "MICROBLEED",
    "MR_BRAIN",
    "NOT_DETECTED",
    "OWN",
    "PROBABILITY",
    "QUANTITY",
    "REGIONS",
    "SCORE",
    "SIDES",
    "VOLUME",
    "Triple",
    "coded",
    "sites_of",
]

Triple = tuple[str, str, str]

OWN = "99CMBTK"

MICROBLEED: Triple = ("723857007", "SCT", "Silent micro-hemorrhage of brain")
ABNORMAL: Triple = ("49755003", "SCT", "Morphologically Abnormal Structure")
INTELLIGENCE: Triple = ("123110", "DCM", "Artificial Intelligence")
MR_BRAIN: Triple = ("24590-2", "LN", "MR Brain")
DETECTED: Triple = ("260373001", "SCT", "Detected")
NOT_DETECTED: Triple = ("260415000", "SCT", "Not detected")
QUANTITY: Triple = ("246205007", "SCT", "Quantity")
DIAMETER: Triple = ("81827009", "SCT", "Diameter")
VOLUME: Triple = ("118565006", "SCT", "Volume")
PROBABILITY: Triple = ("probability", OWN, "Probability of being a microbleed")
SCORE: Triple = ("score", OWN, "Score of being a microbleed")
LIGHT: Triple = ("range", OWN, "Whether the scan is like those learned from")
LIGHTS: dict[str, Triple] = {
    "green": ("green", OWN, "Like them"),
    "amber": ("amber", OWN, "Unlike them: read with care"),
    "red": ("red", OWN, "Far from them: do not trust it"),
}

BRAIN: Triple = ("12738006", "SCT", "Brain")
REGIONS: dict[str, Triple] = {
    "frontal": ("83251001", "SCT", "Frontal lobe"),
    "parietal": ("16630005", "SCT", "Parietal lobe"),
    "temporal": ("78277001", "SCT", "Temporal lobe"),
    "occipital": ("31065004", "SCT", "Occipital lobe"),
    "insula": ("36169008", "SCT", "Insula"),
    "internal capsule": ("85637007", "SCT", "Internal capsule"),
    "external capsule": ("10517005", "SCT", "External capsule"),
    "corpus callosum": ("88442005", "SCT", "Corpus callosum"),
    "deep white matter": ("68523003", "SCT", "Cerebral White Matter"),
    "basal ganglia": ("basal-ganglia", OWN, "Basal ganglia"),
    "thalamus": ("119406000", "SCT", "Thalamus"),
    "cerebellum": ("113305005", "SCT", "Cerebellum"),
    "brainstem": ("119238007", "SCT", "Brain Stem"),
}
"""By the words of the column ``region`` of a table of findings."""

SIDES: dict[str, Triple] = {"left": ("7771000", "SCT", "Left"), "right": ("24028007", "SCT", "Right")}
"""By those of its column ``side``; what lies in the middle has none."""


def coded(triple: Triple) -> Any:
    """A concept as highdicom takes it."""
    from highdicom.sr import CodedConcept

    value, scheme, meaning = triple
    return CodedConcept(value, scheme, meaning)


def sites_of(finding: Mapping[Any, Any]) -> list[Triple]:
    """Where a finding is, as a row of the table says it.

    Returns
    -------
    list of triple
        Its region; the next one as well where it is at the border of the two; the brain where no region is known.
    """
    words = [finding.get("region")]
    if str(finding.get("border")) == "True":
        words.append(finding.get("next_region"))
    return [REGIONS[str(word)] for word in words if str(word) in REGIONS] or [BRAIN]
