"""The paper's slips: printed values that its own counts contradict, and what its printed rows say of themselves."""

from __future__ import annotations

__all__ = ["NOTED", "SLIPS", "SLIP_AT", "TOTALS"]

SLIPS: tuple[str, ...] = (
    "section 3.2: LR microbleeds",
    "table 4: LR FPavg",
    "table 7: LR FPavg",
    "table 9: LR overall sensitivity",
    "table 3: weighted average",
    "table 9: Dou's overall sensitivity",
)
"""The paper's slips by name. One may show in several places: the value is repeated, or two values hang on it."""

SLIP_AT = {
    ("Section 3.2, LR", "451 microbleeds out of"): 0,
    ("Table 4, LR total", "FPavg"): 1,
    ("Table 9, LR YOLO stage 1", "FPavg"): 1,
    ("Table 7, LR", "FPavg, stage 2"): 2,
    ("Table 9, LR YOLO stage 2", "overall sensitivity"): 3,
    ("Table 9, dou stage 2", "overall sensitivity"): 5,
    ("Table 3, HR+LR", "sensitivity as average of HR and LR weighted by microbleeds"): 4,
    ("Table 3, HR+LR", "FPavg as average of HR and LR weighted by subjects"): 4,
}

NOTED: dict[tuple[int, str], tuple[str, ...]] = {
    (2, "swi+cphase"): ("fp_per_subject",),
    (3, "HR+LR"): ("sensitivity_percent", "fp_per_subject"),
    (4, "HR fold 3"): ("fp_per_subject",),
    (4, "HR fold 5"): ("fp_per_subject",),
    (4, "LR total"): ("fp_per_subject",),
    (7, "LR"): ("stage2_fp_per_subject",),
    (9, "LR FRST stage 1"): ("sensitivity_percent",),
    (9, "LR YOLO stage 1"): ("fp_per_subject", "overall_sensitivity_percent"),
    (9, "LR YOLO stage 2"): ("overall_sensitivity_percent",),
    **{(9, f"{who} stage {n}"): ("overall_sensitivity_percent",) for who in ("dou", "liu") for n in (1, 2)},
    (9, "wang"): ("sensitivity_percent", "fp_per_subject", "precision_percent"),
    (9, "hong"): ("sensitivity_percent", "fp_per_subject", "precision_percent"),
}
"""What the notes on the paper's printed rows are about."""

TOTALS: dict[tuple[str, str], tuple[tuple[str, ...], str]] = {
    ("LR", "stage1"): (("FPavg",), "the paper's folds add up to 158.91"),
    ("LR", "overall"): (("sens. %",), "the paper's counts give 72.38"),
    ("LR", "controls"): (("FPavg, both",), "the paper's counts give 3.75: 30 over 8 subjects, not over 14"),
}
"""Printed values that the paper's own counts contradict: columns, and what the counts give."""
