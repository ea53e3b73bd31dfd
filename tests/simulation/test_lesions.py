import numpy as np
import pytest

from cmb_toolkit.simulation.anatomy import make_head
from cmb_toolkit.simulation.grid import Grid
from cmb_toolkit.simulation.lesions import Lesion, MicrobleedSites, Sphere, draw_microbleed
from cmb_toolkit.simulation.signal import sphere_field

GRID = Grid.covering((-92, -124, -84), (92, 96, 96), (3, 3, 3))
EVERYWHERE = ((-92, -124, -84), (92, 96, 96))


@pytest.fixture(scope="module")
def head():
    return make_head(np.random.default_rng(4), GRID, atrophy=1.0)


def pair():
    spheres = (Sphere((0, 0, 0), 1.0), Sphere((1.0, 0.5, 0), 0.6))
    return Lesion("microbleed", "lobar", (0, 0, 0), spheres, 1.3, 8.0, 0.7)


def test_the_field_of_a_lesion_is_the_sum_of_its_balls():
    axes = [np.linspace(-4, 4, 9), np.linspace(-3, 3, 7), np.linspace(-5, 5, 11)]
    x, y, z = np.meshgrid(*axes, indexing="ij")
    expected = sphere_field(x, y, z, radius_mm=1.0, susceptibility_ppm=1.3)
    expected += sphere_field(x - 1, y - 0.5, z, radius_mm=0.6, susceptibility_ppm=1.3)
    assert pair().field(axes) == pytest.approx(expected, abs=1e-6)


def test_volume_fractions_add_up_to_the_balls_volumes():
    axes = [np.arange(-3, 3, 0.1)] * 3
    volumes = [float(f.sum()) * 0.001 for f in pair().volume_fractions(axes)]
    assert volumes == pytest.approx([4 / 3 * np.pi, 4 / 3 * np.pi * 0.6**3], rel=0.03)


def test_sizes_of_a_compound_lesion():
    assert pair().radius == pytest.approx((1 + 0.6**3) ** (1 / 3))
    assert pair().extent == pytest.approx(np.hypot(1, 0.5) + 0.6)
    assert pair().patch_reach(16.0) > pair().extent


def test_microbleeds_are_drawn_in_range_in_their_regions(head):
    sites = MicrobleedSites.of(head, *EVERYWHERE)
    rng = np.random.default_rng(0)
    drawn = [draw_microbleed(rng, sites, 0.95) for _ in range(600)]
    radii = [lesion.spheres[0].radius for lesion in drawn]
    assert 0.35 <= min(radii) < max(radii) <= 3.5
    assert np.median(radii) == pytest.approx(0.95, rel=0.08)
    assert all(0.4 <= lesion.susceptibility_ppm <= 4 for lesion in drawn)
    shares = {r: np.mean([lesion.region == r for lesion in drawn]) for r in ("lobar", "deep", "infratentorial")}
    assert shares == pytest.approx({"lobar": 0.62, "deep": 0.24, "infratentorial": 0.14}, abs=0.06)
    centres = np.array([lesion.centre for lesion in drawn])
    assert (head.grid.lookup(head.intracranial, centres) < 0).all()


def test_sites_keep_to_the_box_and_to_the_regions_in_it(head):
    sites = MicrobleedSites.of(head, (-92, -124, 30), (92, 96, 42))
    assert "infratentorial" not in sites.voxels
    rng = np.random.default_rng(0)
    z = [draw_microbleed(rng, sites, 0.95).centre[2] for _ in range(50)]
    assert min(z) >= 30 - 1.5
    assert max(z) <= 42 + 1.5
