"""What cannot be a page is refused when it is made, not when it is drawn."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from cmb_toolkit.report.scan.content import COLUMNS, ScanPage, Shown


def shown(**other):
    volume = np.zeros((4, 5, 3), np.float32)
    return Shown(**{"affine": np.eye(4), "swi": volume, "phase": volume, "minip": volume, "mask": volume > 0} | other)


def page():
    none = pd.DataFrame(columns=list(COLUMNS))
    return ScanPage("sub-1", "m 1", "simulated", "green", (), "balanced", "", (), none, none, 0, (), (), (), shown())


@pytest.mark.parametrize(
    "other",
    [{"phase": np.zeros((4, 5, 2), np.float32)}, {"affine": np.eye(3)}, {"slices": (1, 2)}],
    ids=["grid", "affine", "slices"],
)
def test_volumes_lie_on_one_grid(other):
    with pytest.raises(ValueError, match=r"expected, found|2 numbers for 3 slices"):
        shown(**other)


def test_a_page_has_its_columns_and_a_light():
    with pytest.raises(ValueError, match="lesions lack id"):
        replace(page(), lesions=page().lesions.drop(columns="id"))
    with pytest.raises(ValueError, match="green, amber, red expected"):
        replace(page(), light="blue")
