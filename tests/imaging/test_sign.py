"""Two witnesses of the phase's sign: veins, and the brain over the sinuses."""

from __future__ import annotations

import numpy as np
import pytest

from cmb_toolkit.imaging.highpass import gaussian_highpass, homodyne_highpass
from cmb_toolkit.imaging.sign import SinusEvidence, VeinEvidence, agreed_sign, sinus_evidence, vein_evidence
from cmb_toolkit.imaging.unwrap import unwrap_path
from cmb_toolkit.simulation.scan import simulate_scan

ZOOMS = (3.0, 3.0, 3.0)
X, Y, Z = ((np.mgrid[:54, :66, :48][a] - (53, 65, 47)[a] / 2) * 3.0 for a in range(3))
BRAIN = (X / 66) ** 2 + (Y / 84) ** 2 + (Z / 58) ** 2 < 1
AIR_AT = (0.0, 54.0, -62.0)


def air_phase(radius=18.0, rad=60.0):
    """Phase above a sphere of air: a dipole along the slice axis."""
    x, y, z = (axis - at for axis, at in zip((X, Y, Z), AIR_AT, strict=True))
    distance = np.maximum(np.sqrt(x**2 + y**2 + z**2), radius)
    return (rad / 3 * (radius / distance) ** 3 * (3 * (z / distance) ** 2 - 1)).astype(np.float32)


MAGNITUDE = np.where(BRAIN, 1.0, 0.02).astype(np.float32)
FIELD = air_phase() + (0.02 * Y - 0.03 * X).astype(np.float32)


@pytest.mark.parametrize("sign", [1, -1])
def test_air_raises_the_field_above_it(sign):
    found = sinus_evidence(sign * FIELD, MAGNITUDE, BRAIN, ZOOMS)
    assert found.verdict == sign
    assert found.columns > 40
    assert sign * found.median > 1
    assert max(found.raised, found.columns - found.raised) > 0.9 * found.columns


def test_a_mask_with_a_wide_rim_or_a_tight_one_shows_the_same():
    for margin in (-3, 6):
        mask = (X / (66 + margin)) ** 2 + (Y / (84 + margin)) ** 2 + (Z / (58 + margin)) ** 2 < 1
        assert sinus_evidence(FIELD, MAGNITUDE, mask, ZOOMS).verdict == 1, margin


def test_nothing_is_seen_where_the_floor_is_out_of_view_or_rests_on_tissue():
    upper = np.s_[:, :, 20:]
    assert sinus_evidence(FIELD[upper], MAGNITUDE[upper], BRAIN[upper], ZOOMS).verdict == 0
    assert sinus_evidence(FIELD, np.ones_like(MAGNITUDE), BRAIN, ZOOMS) == SinusEvidence()
    assert sinus_evidence(FIELD, MAGNITUDE, np.zeros_like(BRAIN), ZOOMS) == SinusEvidence()
    assert sinus_evidence(np.zeros_like(FIELD), MAGNITUDE, BRAIN, ZOOMS).verdict == 0


def test_a_slope_from_front_to_back_is_no_air():
    assert sinus_evidence((0.2 * Y).astype(np.float32), MAGNITUDE, BRAIN, ZOOMS).verdict == 0


def test_veins_show_the_sign(head):
    filtered = homodyne_highpass(head.magnitude, head.phase, head.brain, head.zooms)
    right = vein_evidence(filtered, head.magnitude, head.brain, head.zooms)
    assert right.verdict == 1
    assert right.positive > 0.7 * right.voxels
    assert right.median > 0.3
    wrong = vein_evidence(-filtered, head.magnitude, head.brain, head.zooms)
    assert wrong.verdict == -1
    assert wrong.median == pytest.approx(-right.median)
    assert (wrong.voxels, wrong.positive) == (right.voxels, right.voxels - right.positive)


def test_no_veins_no_verdict(head):
    flat = np.ones_like(head.magnitude)
    assert vein_evidence(np.zeros_like(flat), flat, head.brain, head.zooms).verdict == 0
    assert vein_evidence(np.zeros_like(flat), flat, np.zeros_like(head.brain), head.zooms) == VeinEvidence()


@pytest.mark.parametrize(
    ("voxels", "positive", "verdict"),
    [(29, 29, 0), (30, 30, 1), (30, 0, -1), (60, 44, 0), (60, 47, 1), (1000, 590, 0), (1000, 610, 1), (1000, 390, -1)],
)
def test_veins_are_believed_when_many_agree(voxels, positive, verdict):
    assert VeinEvidence(voxels, positive, 0.5).verdict == verdict


@pytest.mark.parametrize("veins", [1, 0, -1])
@pytest.mark.parametrize("sinuses", [1, 0, -1])
def test_contradiction_is_no_sign(veins, sinuses):
    vein = VeinEvidence(1000, {1: 900, 0: 500, -1: 100}[veins], 0.5 * veins)
    sinus = SinusEvidence(100, {1: 99, 0: 50, -1: 1}[sinuses], 2.0 * sinuses, 900.0)
    assert (vein.verdict, sinus.verdict) == (veins, sinuses)
    expected = 0 if veins * sinuses < 0 else veins or sinuses
    assert agreed_sign(vein, sinus) == expected


def test_a_simulated_head_shows_its_sign():
    scan = simulate_scan(0, "tiny", microbleeds=0)
    zooms = np.sqrt((scan.affine[:3, :3] ** 2).sum(0)).tolist()
    unwrapped = unwrap_path(scan.phase, scan.intracranial)
    filtered = gaussian_highpass(unwrapped, scan.intracranial, zooms, magnitude=scan.magnitude)
    for sign in (1, -1):
        veins = vein_evidence(sign * filtered, scan.magnitude, scan.intracranial, zooms)
        sinuses = sinus_evidence(sign * unwrapped, scan.magnitude, scan.intracranial, zooms)
        assert agreed_sign(veins, sinuses) == sign, (veins, sinuses)
