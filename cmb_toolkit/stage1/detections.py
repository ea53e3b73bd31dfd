"""The boxes of an engine, as a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd

from ..model import Detection
from ..slices import split_stem

__all__ = ["FLOOR", "MOST_BOXES", "detection_table"]


FLOOR = 0.005
"""Least confidence that is looked at when the threshold is to be found."""


MOST_BOXES = 200
"""Boxes of one slice that are kept, the strongest. No slice holds as many microbleeds; a detector that has not
learned much marks thousands of places alike."""


_BOXES = ["participant_id", "role", "k", "left", "top", "right", "bottom", "confidence"]


def detection_table(found: Sequence[Detection], role_of: Mapping[str, str]) -> pd.DataFrame:
    """The boxes of an engine as a table: participant_id, role, k, left, top, right, bottom [px], confidence."""
    rows = []
    for detection in found:
        subject, k = split_stem(detection.image)
        box = detection.box
        rows.append((subject, role_of[subject], k, box.left, box.top, box.right, box.bottom, box.confidence))
    table = pd.DataFrame(rows, columns=_BOXES)
    return table.astype({"k": int} | dict.fromkeys(_BOXES[3:], float))
