import numpy as np
import pytest

from cmb_toolkit.simulation.anatomy import make_head
from cmb_toolkit.simulation.arteries import BENDS, grow_arteries
from cmb_toolkit.simulation.grid import Grid
from cmb_toolkit.simulation.mimics import draw_deposits, draw_flow_voids, draw_perivascular_spaces

GRID = Grid.covering((-92, -124, -84), (92, 96, 96), (3, 3, 3))


@pytest.fixture(scope="module")
def head():
    return make_head(np.random.default_rng(4), GRID, atrophy=1.0)


def test_deposits_are_calcium_or_elongated_iron(head):
    rng = np.random.default_rng(0)
    drawn = [mimic for _ in range(40) for mimic in draw_deposits(rng, head)]
    assert {mimic.kind for mimic in drawn} == {"calcification", "mineralised vessel"}
    for mimic in drawn:
        assert (mimic.susceptibility_ppm < 0) == (mimic.kind == "calcification")
    regions = {mimic.region for mimic in drawn}
    assert regions == {"pineal", "choroid plexus", "pallidum", "falx", "parenchyma"}
    assert 2 < len(drawn) / 40 < 8


def test_arteries_are_paired_but_for_the_basilar(head):
    arteries = grow_arteries(np.random.default_rng(1), head)
    names = [artery.kind for artery in arteries]
    assert set(names) == set(BENDS)
    assert all(names.count(name) == (1 if name == "basilar" else 2) for name in BENDS)
    for artery in arteries:
        assert 0.3 < artery.radii.min() <= artery.radii.max() < 3
    carotid = next(a for a in arteries if a.kind == "internal carotid")
    middle = [a for a in arteries if a.kind == "middle cerebral"]
    assert min(np.linalg.norm(carotid.points[-1] - m.points[0]) for m in middle) < 4


def test_flow_voids_lie_on_arteries_and_have_no_field(head):
    rng = np.random.default_rng(2)
    arteries = grow_arteries(rng, head)
    voids = [void for _ in range(30) for void in draw_flow_voids(rng, arteries)]
    assert 1 < len(voids) / 30 < 10
    for void in voids:
        assert void.kind == "flow void"
        axes = [np.linspace(c - 3, c + 3, 5) for c in void.centre]
        assert not void.field(axes).any()
        courses = np.concatenate([a.points for a in arteries if a.kind == void.region])
        assert np.linalg.norm(courses - void.centre, axis=1).min() < 1e-6
        assert void.extent < 8


def test_perivascular_spaces_hold_csf_in_white_matter_and_basal_ganglia(head):
    rng = np.random.default_rng(3)
    spaces = [space for _ in range(20) for space in draw_perivascular_spaces(rng, head)]
    assert {space.region for space in spaces} == {"white matter", "basal ganglia"}
    assert 3 < len(spaces) / 20 < 40
    centres = np.array([space.centre for space in spaces])
    assert (head.grid.lookup(head.intracranial, centres) < 0).all()
    for space in spaces:
        assert space.t1_ms > 4000
        assert len(space.spheres) >= 2
        assert 1.5 <= space.extent < 6


def test_atrophy_brings_perivascular_spaces(head):
    old = make_head(np.random.default_rng(4), GRID, atrophy=1.8)
    few, many = (
        sum(len(draw_perivascular_spaces(np.random.default_rng(n), each)) for n in range(10)) for each in (head, old)
    )
    assert many > 1.2 * few
