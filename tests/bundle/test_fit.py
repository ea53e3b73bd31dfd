"""How a scan fits a model."""

import pytest
from hand_made_model import content

from cmb_toolkit.bundle.content import Grid
from cmb_toolkit.bundle.fit import fit

MODEL = content(grids=(Grid((0.5, 0.5, 2.0), (448, 512), 30), Grid((0.8, 0.8, 2.0), (252, 288), 10)))


@pytest.mark.parametrize(
    ("voxel", "light", "looked_at"),
    [
        ((0.5, 0.5, 2.0), "green", (0.5, 0.5, 2.0)),
        ((0.51, 0.49, 2.05), "green", (0.51, 0.49, 2.05)),
        ((0.79, 0.8, 2.0), "green", (0.79, 0.8, 2.0)),
        ((0.45, 0.45, 2.0), "green", (0.5, 0.5, 2.0)),
        ((0.7, 0.7, 1.5), "green", (0.8, 0.8, 2.0)),
        ((0.9, 0.9, 3.0), "amber", (0.8, 0.8, 2.0)),
        ((0.2, 0.2, 2.0), "amber", (0.5, 0.5, 2.0)),
        ((1.0, 1.0, 5.0), "red", (0.8, 0.8, 2.0)),
    ],
)
def test_voxels(voxel, light, looked_at):
    found = fit(MODEL, voxel, (448, 512, 72), 20.0)
    assert (found.light, found.voxel_mm) == (light, looked_at)
    assert bool(found.reasons) == (light != "green")


def test_other_echo_times_and_few_slices_are_doubted():
    short = fit(MODEL, (0.5, 0.5, 2.0), (448, 512, 72), 8.0)
    assert short.light == "amber"
    assert "smaller" in short.reasons[0]
    assert fit(MODEL, (0.5, 0.5, 2.0), (448, 512, 72), None).light == "green"
    thin = fit(MODEL, (0.5, 0.5, 2.0), (448, 512, 5), 20.0)
    assert "covers 10 mm" in thin.reasons[0]
    assert thin.doubted("more").reasons[-1] == "more"


def test_a_crop_is_doubted_and_a_narrow_field_of_view_is_not():
    crop = fit(MODEL, (0.5, 0.5, 2.0), (50, 50, 30), 20.0)
    assert crop.light == "amber"
    assert "25 x 25 mm, where the model learned from 224 x 256 mm" in crop.reasons[0]
    assert fit(MODEL, (0.5, 0.5, 2.0), (320, 400, 72), 20.0).light == "green"
