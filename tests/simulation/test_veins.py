import numpy as np
import pytest

from cmb_toolkit.simulation.anatomy import make_head
from cmb_toolkit.simulation.grid import Grid
from cmb_toolkit.simulation.veins import grow_veins

HEAD_GRID = Grid.covering((-92, -124, -84), (92, 96, 96), (2, 2, 2))


@pytest.fixture(scope="module")
def head():
    return make_head(np.random.default_rng(4), HEAD_GRID, atrophy=1.0)


@pytest.fixture(scope="module")
def veins(head):
    return grow_veins(np.random.default_rng(7), head)


def test_every_kind_of_vein_grows(veins):
    kinds = [vein.kind for vein in veins]
    assert set(kinds) == {"sulcal", "pial", "medullary", "deep", "sinus", "cerebellar"}
    assert 500 < len(veins) < 1400
    assert kinds.count("sulcal") > kinds.count("medullary") > kinds.count("pial")


def test_veins_are_thin_and_lie_in_or_on_the_brain(head, veins):
    for vein in veins:
        assert vein.points.shape == (len(vein.radii), 3)
        assert 0.05 < vein.radii.min() <= vein.radii.max() < 4
    small = [v for v in veins if v.kind in {"sulcal", "medullary"}]
    depth = np.concatenate([head.grid.lookup(head.hull, v.points) for v in small])
    assert np.mean(depth < 3) > 0.98


def test_density_scales_the_small_veins(head):
    sparse, dense = (
        sum(v.kind == "sulcal" for v in grow_veins(np.random.default_rng(7), head, density)) for density in (0.5, 1.5)
    )
    assert dense == pytest.approx(3 * sparse, rel=0.15)
