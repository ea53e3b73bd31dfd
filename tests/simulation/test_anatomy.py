import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cmb_toolkit.simulation.anatomy import Pose, make_head
from cmb_toolkit.simulation.constants import TISSUES
from cmb_toolkit.simulation.grid import Grid

GRID = Grid.covering((-92, -124, -84), (92, 96, 111), (3, 3, 3))


@pytest.fixture(scope="module")
def head():
    return make_head(np.random.default_rng(4), GRID, atrophy=1.0)


def millilitres(fraction):
    return float(fraction.sum()) * np.prod(GRID.spacing) / 1000


def test_tissue_fractions_fill_every_voxel(head):
    total = sum(head.fractions.values())
    assert np.allclose(total, 1, atol=1e-5)
    assert min(float(f.min()) for f in head.fractions.values()) > -1e-5
    assert set(head.fractions) == set(TISSUES) - {"venous blood", "white matter lesion"}


def test_the_brain_has_a_human_size(head):
    assert 1100 < millilitres(head.brain) < 2100
    assert 350 < millilitres(head.fractions["cortex"]) < 800
    assert 5 < millilitres(head.fractions["putamen"]) < 12
    assert 1 < millilitres(head.fractions["pallidum"]) < 4
    assert millilitres(head.intracranial < 0) > millilitres(head.brain)


def test_the_brain_lies_within_the_skull_and_the_head_within_air(head):
    assert (head.intracranial[head.brain > 0.9] < 0).all()
    outside = head.fractions["air"]
    assert outside[0].min() > 0.99
    assert outside[:, 0].min() > 0.99
    assert outside[:, :, -1].min() > 0.99


def test_atrophy_widens_sulci_and_ventricles():
    young, old = (make_head(np.random.default_rng(4), GRID, atrophy=a) for a in (0.5, 1.8))
    assert millilitres(old.fractions["csf"]) > 1.2 * millilitres(young.fractions["csf"])
    assert (old.ventricle < 0).sum() > 1.2 * (young.ventricle < 0).sum()


def test_heads_repeat_with_their_seed_and_differ_without(head):
    again = make_head(np.random.default_rng(4), GRID, atrophy=1.0)
    other = make_head(np.random.default_rng(5), GRID, atrophy=1.0)
    assert np.array_equal(again.fractions["cortex"], head.fractions["cortex"])
    assert not np.array_equal(other.fractions["cortex"], head.fractions["cortex"])


def test_a_thin_slab_of_the_head_can_be_made():
    slab = make_head(np.random.default_rng(4), Grid.covering((-92, -124, 40), (92, 96, 60), (3, 3, 3)), atrophy=1.0)
    assert slab.brain.max() == 1
    assert slab.cerebellum.min() > 0


@given(st.integers(0, 10**6), st.tuples(*[st.floats(-90, 90)] * 3))
def test_the_pose_is_undone_by_its_inverse(seed, point):
    pose = Pose.draw(np.random.default_rng(seed))
    placed = pose.to_scanner(point)
    back = pose.to_anatomy([np.array([p]) for p in placed])
    assert [float(b[0]) for b in back] == pytest.approx(list(point), abs=1e-3)
