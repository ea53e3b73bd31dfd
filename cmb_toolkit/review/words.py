"""What a reader can say of a finding."""

from __future__ import annotations

__all__ = ["GONE_MM", "MIMICS", "NEAR_MM", "PART_MM", "VERDICTS", "mimic_of", "verdict_of"]

VERDICTS = ("yes", "no", "unsure")

NEAR_MM = 3.0
"""Within what distance [mm] a place without an id is a finding's, and beyond which a finding was moved."""

GONE_MM = 10.0
"""Beyond what distance [mm] a place with a finding's id is another one."""

PART_MM = 5.0
"""Within what distance [mm] of a finding a second place with its id is a part of it, as voxels of a label map are."""

_YES, _NO, _UNSURE = VERDICTS
_SAID = {
    **dict.fromkeys(("yes", "y", "1", "1.0", "true"), _YES),
    **dict.fromkeys(("no", "n", "0", "0.0", "false"), _NO),
    **dict.fromkeys(("unsure", "uncertain", "maybe", "?"), _UNSURE),
}

MIMICS = ("vein", "calcification", "sulcus", "artefact", "mineral", "cavernoma", "haemorrhage", "other")
"""What a finding is that is no microbleed; mineral is that of the basal ganglia."""

_ALSO = {
    **dict.fromkeys(("vessel", "vascular", "flow void"), "vein"),
    **dict.fromkeys(("calcium", "calcified"), "calcification"),
    **dict.fromkeys(("artifact", "partial volume", "motion", "air"), "artefact"),
    **dict.fromkeys(("iron", "iron deposition", "basal ganglia mineral"), "mineral"),
    **dict.fromkeys(("cavernous malformation", "ccm"), "cavernoma"),
    **dict.fromkeys(("haemorrhagic lesion", "hemorrhagic lesion", "hemorrhage"), "haemorrhage"),
}


def verdict_of(text: str) -> str | None:
    """One of :data:`VERDICTS`, or nothing where nothing is said; None where that is none.

    >>> verdict_of("Yes"), verdict_of("0"), verdict_of(" "), verdict_of("vein")
    ('yes', 'no', '', None)
    """
    word = text.strip().casefold()
    return _SAID.get(word) if word else ""


def mimic_of(text: str) -> str:
    """One of :data:`MIMICS`; empty where nothing is said.

    >>> mimic_of("Vessel"), mimic_of("iron deposition"), mimic_of("a gnat"), mimic_of("")
    ('vein', 'mineral', 'other', '')
    """
    word = " ".join(text.casefold().split())
    if not word:
        return ""
    return word if word in MIMICS else _ALSO.get(word, "other")
