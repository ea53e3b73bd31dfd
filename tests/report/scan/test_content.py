"""What cannot be a page is refused when it is made, not when it is drawn."""

from dataclasses import replace

import numpy as np
import pytest
from toy_scan import head, scan


@pytest.mark.parametrize(
    "other",
    [
        {"phase": np.zeros((4, 5, 2), np.float32)},
        {"head": np.zeros((4, 5, 2))},
        {"affine": np.eye(3)},
        {"slices": (1,)},
    ],
    ids=["grid", "head", "affine", "slices"],
)
def test_volumes_lie_on_one_grid(other):
    with pytest.raises(ValueError, match=r"expected, found|1 numbers for 20 slices"):
        replace(head(np.eye(4)), **other)


def test_a_page_has_its_columns_and_a_light():
    page = scan()
    with pytest.raises(ValueError, match="lesions lack id"):
        replace(page, lesions=page.lesions.drop(columns="id"))
    with pytest.raises(ValueError, match="green, amber, red expected"):
        replace(page, light="blue")
