import dataclasses
import json

import numpy as np
import pytest
from scipy import ndimage

from cmb_toolkit.errors import UsageError
from cmb_toolkit.recipe import declared
from cmb_toolkit.simulation.acquisition import DIFFICULTIES, PROTOCOLS
from cmb_toolkit.simulation.grid import Grid
from cmb_toolkit.simulation.lesions import Lesion, Sphere
from cmb_toolkit.simulation.placement import SEPARATION_MM
from cmb_toolkit.simulation.recipe import COHORTS, People, Simulating, Variant
from cmb_toolkit.simulation.scan import ANATOMIES, simulate_scan
from cmb_toolkit.simulation.scene import Scene

TINY = PROTOCOLS["tiny"]
CRUDE = dataclasses.replace(
    TINY, matrix=(56, 64, 14), voxel_mm=(3.6, 3.6, 5.0), anatomy_mm=(4.0, 4.0, 4.0), microbleed_radius_mm=2.5
)
"""For what does not depend on the picture."""
CUBIC = dataclasses.replace(TINY, voxel_mm=(1.5, 1.5, 1.5), fine=(2, 2, 2), lesion_fine=(5, 5, 5))


@pytest.fixture(scope="module")
def scan():
    return simulate_scan(3, "tiny", microbleeds=6)


def highpassed(scan):
    """Phase against its own neighbourhood [rad]."""
    image = scan.magnitude * np.exp(1j * scan.phase)
    sigma = (3, 3, 0)
    smooth = ndimage.gaussian_filter(image.real, sigma) + 1j * ndimage.gaussian_filter(image.imag, sigma)
    return np.angle(image * np.conj(smooth))


def ball(radius, ppm, centre=(0.0, 0.0, 0.0), kind="microbleed"):
    return Lesion(kind, "lobar", centre, (Sphere(centre, radius),), ppm, 8.0, 0.7)


def plain_scene(protocol, b0_direction=(0.0, 0.0, 1.0)):
    """White matter without vessels, in a homogeneous field."""
    matrix = (33, 33, 17)
    protocol = dataclasses.replace(protocol, matrix=matrix)
    spacing = protocol.voxel_mm
    grid = Grid(tuple(-(n // 2) * h for n, h in zip(matrix, spacing, strict=True)), spacing, matrix)
    fine_spacing = tuple(h / f for h, f in zip(spacing, protocol.fine, strict=True))
    fine_origin = tuple(o - h / 2 + s / 2 for o, h, s in zip(grid.origin, spacing, fine_spacing, strict=True))
    fine_shape = tuple(n * f for n, f in zip(matrix, protocol.fine, strict=True))
    coarse = Grid(tuple(o - 2 for o in grid.origin), (4.0, 4.0, 4.0), (20, 20, 12))
    return Scene(
        protocol=protocol,
        grid=grid,
        coarse=coarse,
        fine=Grid(fine_origin, fine_spacing, fine_shape),
        box=(slice(0, 33), slice(0, 33)),
        signal=np.ones(coarse.shape, np.float32),
        background_phase=np.zeros(coarse.shape, np.float32),
        veins=np.zeros(fine_shape, np.float32),
        vein_phase=np.zeros(fine_shape, np.float32),
        white_matter=1.0,
        blood=0.6,
        noise=0.05,
        radius=1.0,
        least_contrast=0.25,
        least_snr=8.0,
        b0_direction=b0_direction,
        arteries=np.zeros(fine_shape, np.float32),
        arterial=1.5,
        course_of_arteries=[],
        drawn={},
    )


@pytest.mark.parametrize("name", ["HR", "LR"])
def test_a_small_microbleed_is_positive_in_phase_and_calcium_negative(name):
    scene = plain_scene(PROTOCOLS[name])
    for ppm in (1.0, -1.0):
        image, _ = scene.image([ball(0.6, ppm)])
        core = np.angle(image[16, 16, 7:10].sum())
        assert np.sign(core) == np.sign(ppm)
        assert abs(core) > 0.1


def test_an_undisturbed_scene_is_flat():
    image, placed = plain_scene(PROTOCOLS["HR"]).image([])
    assert np.allclose(image, 1, atol=1e-6)
    assert placed == []


def test_lesion_sampling_is_converged():
    """PHYSICS of the protocol: 3x3x12 sub-voxels of HR are within 0.08 of twice as many."""
    fine = dataclasses.replace(PROTOCOLS["HR"], lesion_fine=(6, 6, 24))
    crude = dataclasses.replace(PROTOCOLS["HR"], lesion_fine=(1, 1, 4))
    lesion = ball(0.95, 1.3, (0.1, -0.2, 0.3))
    images = [plain_scene(p).image([lesion])[0] for p in (PROTOCOLS["HR"], fine, crude)]
    assert np.abs(images[0] - images[1]).max() < 0.08
    assert np.abs(images[2] - images[1]).max() > 0.2


def test_patch_and_far_field_meet_without_a_seam():
    scene = plain_scene(PROTOCOLS["HR"])
    lesion = ball(0.7, 1.0)
    image, _ = scene.image([lesion])
    window = scene.window(lesion)
    inside = image[window[0].stop - 1, 16, 8]
    outside = image[window[0].stop, 16, 8]
    assert abs(np.angle(inside * np.conj(outside))) < 0.02
    assert abs(abs(inside) - abs(outside)) < 0.02
    assert abs(np.angle(outside)) > 1e-3


def test_the_mark_is_the_voxel_of_a_round_lesion():
    scene = plain_scene(PROTOCOLS["HR"])
    for voxel in ((16, 16, 8), (12, 20, 6)):
        centre = tuple(scene.grid.position(voxel))
        lesion = ball(0.95, 1.3, centre)
        placed = scene.appearance(lesion, [lesion])
        assert placed.voxel == voxel
        assert placed.position == pytest.approx(voxel)
        assert placed.contrast > 0.6
        assert 1.5 < placed.diameter_mm < 4.5


def test_a_lesion_is_compared_with_the_image_without_its_own_far_field():
    """The loss must not depend on how much of its surroundings a lesion disturbs beforehand."""
    scene = plain_scene(PROTOCOLS["HR"])
    lesion, neighbour = ball(0.8, 1.3), ball(0.8, 1.3, (6.0, 0.0, 0.0))
    alone = scene.appearance(lesion, [lesion])
    beside = scene.appearance(lesion, [neighbour, lesion])
    assert beside.contrast == pytest.approx(alone.contrast, abs=0.1)
    assert beside.snr == pytest.approx(alone.snr, rel=0.1)


def test_a_lesion_outside_the_volume_has_no_appearance():
    lesion = ball(0.8, 1.3, (100.0, 0.0, 0.0))
    assert plain_scene(PROTOCOLS["HR"]).appearance(lesion, [lesion]) is None


def test_a_scan_has_what_was_asked_for(scan):
    assert scan.magnitude.shape == scan.phase.shape == scan.veins.shape == TINY.matrix
    assert scan.magnitude.dtype == scan.phase.dtype == np.float32
    assert np.isfinite(scan.magnitude).all()
    assert np.abs(scan.phase).max() <= np.float32(np.pi)
    assert len(scan.microbleeds) == 6
    assert np.ptp(scan.phase[scan.intracranial]) > 2
    assert np.median(scan.magnitude[scan.brain]) == pytest.approx(1, abs=0.25)
    assert (scan.brain & ~scan.intracranial).sum() < 0.001 * scan.brain.sum()
    assert 0 < scan.veins.max() <= 1
    json.dumps(scan.drawn)


def test_every_microbleed_could_have_been_marked(scan):
    for placed in scan.microbleeds:
        i, j, k = placed.voxel
        assert scan.intracranial[i, j, k]
        assert 2 <= k < TINY.matrix[2] - 2
        assert placed.contrast >= TINY.minimum_contrast
        assert placed.snr >= TINY.minimum_snr
        assert np.abs(np.subtract(placed.voxel, placed.position)).max() < 1.6
        near = scan.magnitude[i - 1 : i + 2, j - 1 : j + 2, k]
        around = scan.magnitude[i - 5 : i + 6, j - 5 : j + 6, k]
        assert near.min() < 0.85 * np.median(around)
    centres = np.array([placed.lesion.centre for placed in scan.microbleeds])
    apart = np.linalg.norm(centres[:, None] - centres[None], axis=2)[np.triu_indices(6, 1)]
    assert apart.min() >= SEPARATION_MM


def test_microbleeds_are_bright_and_calcium_dark_in_highpassed_phase(scan):
    phase = highpassed(scan)

    def core(placed):
        i, j, k = placed.voxel
        weights = scan.magnitude[i, j, k - 1 : k + 2]
        return float(np.average(phase[i, j, k - 1 : k + 2], weights=weights))

    bleeds = [core(p) for p in scan.microbleeds]
    assert np.mean(np.array(bleeds) > 0) >= 5 / 6
    inside = [p for p in scan.mimics if 1 <= p.voxel[2] < TINY.matrix[2] - 1]
    calcium = [core(p) for p in inside if p.lesion.kind == "calcification" and p.contrast > 0.2]
    assert calcium
    assert np.median(calcium) < 0 < np.median(bleeds)


def test_the_field_of_a_lesion_turns_with_the_main_field():
    half = float(np.sqrt(0.5))
    upright, lying = (
        np.angle(plain_scene(CUBIC, b0).image([ball(2.0, 0.5)])[0]) for b0 in ((0.0, 0.0, 1.0), (0.0, 1.0, 0.0))
    )
    middle = [n // 2 for n in upright.shape]
    window = tuple(slice(m - 6, m + 7) for m in middle)
    assert np.abs(upright[window]).max() > 0.3
    assert lying[window].transpose(0, 2, 1) == pytest.approx(upright[window], abs=1e-3)
    slanting = np.angle(plain_scene(CUBIC, (0.0, half, half)).image([ball(2.0, 0.5)])[0])[window]
    assert slanting == pytest.approx(slanting.transpose(0, 2, 1), abs=1e-3)
    assert slanting != pytest.approx(upright[window], abs=0.05)


def test_oblique_slices_are_turned_in_the_world_and_hold_the_same_matrix():
    scan = simulate_scan(5, CRUDE, microbleeds=1, variant=Simulating(oblique_deg=20))
    assert np.linalg.norm(scan.affine[:3, :3], axis=0) == pytest.approx(CRUDE.voxel_mm)
    assert scan.affine[2, 2] / CRUDE.voxel_mm[2] == pytest.approx(np.cos(np.deg2rad(20)))
    assert scan.magnitude.shape == CRUDE.matrix
    assert scan.drawn["oblique_deg"] == 20
    assert "subjects" not in scan.drawn, "that is of the study, not of the scan"


def test_motion_leaves_ghosts_and_nothing_else_changes():
    still, moving = (simulate_scan(5, CRUDE, microbleeds=1, variant=Variant(motion_mm=m)) for m in (0, 2))
    assert still.microbleeds == moving.microbleeds
    ghosts = [scan.magnitude[:6, 20:44].mean() for scan in (still, moving)]
    assert ghosts[1] > 1.3 * ghosts[0]


def test_white_matter_lesions_are_a_little_brighter():
    plain, diseased = (
        simulate_scan(5, CRUDE, microbleeds=0, variant=Variant(white_matter_lesions_ml=ml)).magnitude for ml in (0, 60)
    )
    change = diseased - plain
    inside = change > 0.03
    assert 20 < inside.sum() * np.prod(CRUDE.voxel_mm) / 1000 < 90
    assert np.abs(change).max() < 0.3


def test_dark_spots_are_mostly_veins_and_never_the_lesions(scan):
    kinds = [spot.kind for spot in scan.spots]
    assert set(kinds) <= {"vein", "edge", "sinus artefact", "nucleus", "sulcus", "tissue"}
    assert {"vein", "edge"} <= set(kinds)
    for spot in scan.spots:
        assert 0.3 <= spot.contrast <= 1
        for placed in (*scan.microbleeds, *scan.mimics):
            assert spot.voxel != placed.voxel


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"anatomy": "cat"}, "procedural, mni"),
        ({"oblique_deg": 70}, "--oblique 70"),
        ({"motion_mm": -1}, "--motion -1"),
        ({"white_matter_lesions_ml": 500}, "--white-matter-lesions 500"),
    ],
)
def test_impossible_variants_are_named(options, message):
    with pytest.raises(UsageError, match=message):
        Variant(**options)


def test_every_name_can_be_asked_for():
    people, variant = declared(People), declared(Variant)
    assert list(people["resolution"].words) == list(PROTOCOLS)
    assert list(people["difficulty"].words) == list(DIFFICULTIES)
    assert list(variant["anatomy"].words) == list(ANATOMIES)
    assert {name for parts in COHORTS.values() for name in parts} <= set(PROTOCOLS)


def test_the_template_makes_a_head():
    scan = simulate_scan(5, CRUDE, microbleeds=2, variant=Variant(anatomy="mni"))
    volume = scan.brain.sum() * np.prod(CRUDE.voxel_mm) / 1000
    assert 600 < volume < 1900
    assert len(scan.microbleeds) == 2
    assert scan.brain[scan.intracranial].mean() > 0.6


def test_equal_seeds_give_equal_scans_and_others_do_not(scan):
    again = simulate_scan(3, "tiny", microbleeds=6)
    assert np.array_equal(again.magnitude, scan.magnitude)
    assert np.array_equal(again.phase, scan.phase)
    assert again.microbleeds == scan.microbleeds
    seeds = (3, np.random.SeedSequence(3), np.random.SeedSequence(3, spawn_key=(1,)))
    first, same, other = (simulate_scan(seed, CRUDE, microbleeds=2) for seed in seeds)
    assert np.array_equal(first.magnitude, same.magnitude)
    assert not np.array_equal(first.magnitude, other.magnitude)
    assert first.microbleeds == same.microbleeds != other.microbleeds


def test_healthy_subjects_have_mimics_only():
    healthy = simulate_scan(8, CRUDE, microbleeds=0, healthy=True)
    assert healthy.microbleeds == ()
    assert healthy.mimics
    assert 0.5 <= healthy.drawn["atrophy"] <= 1.0


def test_difficulty_and_scanner_change_the_noise():
    def noise(**options):
        scan = simulate_scan(5, CRUDE, microbleeds=0, **options)
        return scan.magnitude[:4, :4].mean()

    usual = noise()
    assert noise(difficulty="hard") == pytest.approx(usual / DIFFICULTIES["hard"].snr_factor, rel=0.1)
    assert noise(scanner="scanner-b") == pytest.approx(usual / 0.85, rel=0.1)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"protocol": "7T"}, "HR, LR, slab, slab-lr, tiny"),
        ({"protocol": "tiny", "scanner": "scanner-z"}, "scanner-a, scanner-b"),
        ({"protocol": "tiny", "difficulty": "brutal"}, "easy, paper, hard"),
        ({"protocol": "tiny", "microbleeds": 2, "healthy": True}, "healthy"),
        ({"protocol": "tiny", "microbleeds": -1}, "-1"),
    ],
)
def test_wrong_arguments_are_named(options, message):
    with pytest.raises(UsageError, match=message):
        simulate_scan(0, **options)


def test_microbleeds_that_cannot_be_placed_end_in_a_message():
    blind = dataclasses.replace(CRUDE, minimum_snr=1e6)
    with pytest.raises(UsageError, match=r"0 of 1 microbleeds .* Ask for fewer \(--microbleeds\)"):
        simulate_scan(0, blind, microbleeds=1)
