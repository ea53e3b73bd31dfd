"""Regions of a scan: right where the simulator says where microbleeds are, and refused where they cannot be told."""

from dataclasses import replace

import numpy as np
import pytest
from nibabel.affines import apply_affine

from cmb_toolkit.detect.located import located
from cmb_toolkit.regions.brain import Brain, coarse
from cmb_toolkit.schema import PLACED
from cmb_toolkit.simulation.acquisition import PROTOCOLS
from cmb_toolkit.simulation.scan import simulate_scan


@pytest.fixture(scope="module")
def simulated():
    """A whole head on coarse voxels."""
    return simulate_scan(7, replace(PROTOCOLS["tiny"], matrix=(112, 128, 48)), microbleeds=8, difficulty="easy")


@pytest.fixture(scope="module")
def brain(simulated):
    return coarse(simulated.magnitude, simulated.intracranial, simulated.affine, 4.0)


def test_microbleeds_are_in_the_groups_that_they_were_drawn_in(simulated, brain):
    world = apply_affine(simulated.affine, [each.position for each in simulated.microbleeds])
    found = located(brain, world)
    assert found.doubt == ""
    assert found.laid.similarity > 0.58
    assert list(found.table) == PLACED.names
    drawn = np.array([each.lesion.region for each in simulated.microbleeds])
    assert set(drawn) == {"lobar", "infratentorial"}
    clear = ~found.table["border"].to_numpy(bool)
    assert clear.sum() >= 5
    # the simulator's lobar reaches down to 24 mm below the convexity, where the atlas has deep white matter
    below = (found.table["group"] == "infratentorial").to_numpy()
    assert (below == (drawn == "infratentorial"))[clear].all()
    sides = np.where(world[:, 0] > 0, "right", "left")
    lateral = np.abs(world[:, 0]) > 15
    assert (found.table["side"] == sides)[lateral].all()


def test_a_slab_and_what_does_not_look_like_a_brain_have_no_regions(brain):
    slab = Brain(brain.image[:, :, 10:20], brain.affine)
    refused = located(slab, np.zeros((2, 3)))
    assert refused.table["region"].isna().all()
    assert len(refused.table) == 2
    assert "shows 30 mm of the brain" in refused.doubt
    half = brain.image.copy()
    half[half.shape[0] // 2 :] = 0
    for odd in (half, brain.image[:, :, ::-1], brain.image[:, ::-1]):
        refused = located(Brain(np.ascontiguousarray(odd), brain.affine), np.zeros((1, 3)))
        assert "too little alike (0." in refused.doubt
        assert refused.table["region"].isna().all()
