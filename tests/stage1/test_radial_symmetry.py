"""The transform against loops that follow its definition, and against balls whose centres are known."""

import itertools
import math
import statistics

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import distance_transform_edt

from cmb_toolkit.errors import DataError, UsageError
from cmb_toolkit.stage1.candidates import strongest
from cmb_toolkit.stage1.radial_symmetry import full_sphere, local_maxima, radial_symmetry
from cmb_toolkit.stage1.recipe import RadialSymmetry

ZOOMS = [(0.5, 0.5, 2.0), (0.8, 0.8, 2.0), (1.0, 1.0, 1.0), (0.7, 0.5, 1.5)]


# --- the definition, voxel by voxel ----------------------------------------------------------------------------------


def kernel(sigma):
    if sigma == 0:
        return {0: 1.0}
    reach = max(1, math.ceil(3 * sigma))
    weights = {n: math.exp(-0.5 * (n / sigma) ** 2) for n in range(-reach, reach + 1)}
    return {n: weight / sum(weights.values()) for n, weight in weights.items()}


def smoothed(values, sigmas):
    """Each voxel's value spread over its surroundings; what leaves the array is lost."""
    out = np.zeros(values.shape)
    for voxel in np.ndindex(values.shape):
        for (a, wa), (b, wb), (c, wc) in itertools.product(*(kernel(sigma).items() for sigma in sigmas)):
            to = voxel[0] + a, voxel[1] + b, voxel[2] + c
            if all(0 <= n < size for n, size in zip(to, values.shape, strict=True)):
                out[to] += values[voxel] * wa * wb * wc
    return out


def derivative(values, mask, voxel, axis, zoom):
    slopes = []
    for step in (-1, 1):
        beside = list(voxel)
        beside[axis] += step
        if 0 <= beside[axis] < mask.shape[axis] and mask[tuple(beside)]:
            slopes.append((values[tuple(beside)] - values[voxel]) / (step * zoom))
    return sum(slopes) / len(slopes) if slopes else 0.0


def reference(volume, mask, zooms, recipe):
    values = np.where(mask, volume, 0.0)
    if recipe.presmooth_mm:
        sigmas = [recipe.presmooth_mm / zoom for zoom in zooms]
        weight = smoothed(mask.astype(float), sigmas)
        values = smoothed(values, sigmas) / np.where(weight > 0, weight, 1)
    inside = [tuple(int(n) for n in voxel) for voxel in np.argwhere(mask)]
    gradients = {v: np.array([derivative(values, mask, v, a, zooms[a]) for a in range(3)]) for v in inside}
    sizes = {v: math.sqrt(sum(g**2)) for v, g in gradients.items()}
    unit = statistics.median(size for size in sizes.values() if size > 0)
    total = np.zeros(volume.shape)
    for radius in recipe.radii_mm:
        votes, amount = {}, {}
        for voxel in inside:
            if sizes[voxel] >= recipe.least_gradient * unit:
                way = gradients[voxel] / sizes[voxel]
                i, j = (voxel[a] - round(way[a] * radius / zooms[a]) for a in range(2))
                k = voxel[2] - way[2] * radius / zooms[2]
                for to, share in (((i, j, math.floor(k)), 1 - k % 1), ((i, j, math.floor(k) + 1), k % 1)):
                    votes[to] = votes.get(to, 0.0) + share
                    amount[to] = amount.get(to, 0.0) + share * sizes[voxel] / unit
        full = full_sphere(radius, zooms)
        parts = [kernel(recipe.spread * radius / zoom) for zoom in zooms]
        for to, count in votes.items():
            f = amount[to] / full * (min(count, full) / full) ** recipe.strictness
            for (a, wa), (b, wb), (c, wc) in itertools.product(*(part.items() for part in parts)):
                at = to[0] + a, to[1] + b, to[2] + c
                if all(0 <= n < size for n, size in zip(at, volume.shape, strict=True)):
                    total[at] += f * wa * wb * wc
    return np.where(mask, total / len(recipe.radii_mm), 0.0)


@pytest.mark.parametrize(
    "recipe",
    [
        RadialSymmetry(),
        RadialSymmetry(presmooth_mm=0, spread=0, least_gradient=0),
        RadialSymmetry(radii_mm=(1.3, 2.6), strictness=1.5, spread=0.5, presmooth_mm=0.8, least_gradient=1.3),
    ],
)
@pytest.mark.parametrize("zooms", ZOOMS)
def test_agrees_with_the_definition(zooms, recipe):
    rng = np.random.default_rng(5)
    volume = rng.normal(100, 20, (11, 9, 6))
    mask = rng.random(volume.shape) < 0.8
    mask[0], mask[:, :, -1] = False, False
    expected = reference(volume, mask, zooms, recipe)
    found = radial_symmetry(volume, mask, zooms, recipe)
    assert expected.max() > 0
    np.testing.assert_allclose(found, expected, rtol=2e-4, atol=2e-5 * expected.max())


@pytest.mark.parametrize("zooms", ZOOMS)
@pytest.mark.parametrize("radius", [1.0, 1.7, 3.0])
def test_a_full_sphere_is_what_a_radial_field_gives(zooms, radius):
    votes = 0.0
    for i, j, k in itertools.product(range(-9, 10), repeat=3):
        length = math.hypot(i * zooms[0], j * zooms[1], k * zooms[2])
        if length and round(radius * i / length) == i and round(radius * j / length) == j:
            votes += max(0, 1 - abs(k - radius * k / length))
    assert full_sphere(radius, zooms) == pytest.approx(votes)


# --- balls -----------------------------------------------------------------------------------------------------------


@st.composite
def balls(draw):
    """Voxel size, radius [mm], centre [voxel] and a volume's shape that hold the ball and its surroundings."""
    zooms = draw(st.sampled_from(ZOOMS))
    radius = draw(st.floats(1.0, 3.0))
    room = [math.ceil((radius + 2.5) / zoom) for zoom in zooms]
    centre = [draw(st.integers(n, n + 6)) for n in room]
    shape = [c + n + 1 + draw(st.integers(0, 5)) for c, n in zip(centre, room, strict=True)]
    return zooms, radius, tuple(centre), tuple(shape)


def with_ball(zooms, radius, centre, shape, change):
    """Even brain with a ball whose edge is as wide as the blur of a scan; a little noise."""
    axes = np.meshgrid(*((np.arange(n) - c) * z for n, c, z in zip(shape, centre, zooms, strict=True)), indexing="ij")
    distance = np.sqrt(sum(axis**2 for axis in axes))
    inside = 1 / (1 + np.exp((distance - radius) / 0.3))
    noise = np.random.default_rng(1).normal(0, 2, shape)
    return 300 * (1 + change * inside) + noise


@settings(max_examples=60, deadline=None)
@given(balls())
def test_a_dark_ball_scores_highest_at_its_centre(ball):
    zooms, _, centre, shape = ball
    scores = radial_symmetry(with_ball(*ball, -0.8), np.ones(shape, bool), zooms)
    voxels, values = local_maxima(scores, zooms, separation_mm=3.0)
    off = np.abs(voxels[0] - centre) * zooms
    assert np.all(off < 0.81), off  # a voxel in the plane, never a slice
    assert values[0] == scores.max()
    assert scores[centre] > 5 * np.median(scores[scores > 0])


@settings(max_examples=20, deadline=None)
@given(balls())
def test_a_bright_ball_does_not(ball):
    zooms, _, centre, shape = ball
    whole = np.ones(shape, bool)
    dark = radial_symmetry(with_ball(*ball, -0.8), whole, zooms)
    bright = radial_symmetry(with_ball(*ball, 0.8), whole, zooms)
    assert bright[centre] < 0.05 * dark[centre]


# --- what must not matter --------------------------------------------------------------------------------------------


@pytest.fixture
def scan():
    """A dark and a fainter ball in a round brain with noise; and zooms."""
    shape, zooms = (60, 56, 18), (0.5, 0.5, 2.0)
    volume = with_ball(zooms, 1.5, (30, 28, 9), shape, -0.7)
    volume *= with_ball(zooms, 2.0, (40, 40, 12), shape, -0.3) / 300
    i, j, k = np.indices(shape)
    mask = ((i - 30) / 28) ** 2 + ((j - 28) / 26) ** 2 + ((k - 9) / 14) ** 2 < 1
    return volume, mask, zooms


def test_scaling_and_offset_do_not_matter(scan):
    volume, mask, zooms = scan
    scores = radial_symmetry(volume, mask, zooms)
    again = radial_symmetry(0.01 * volume + 3, mask, zooms)
    # a vote that falls between two voxels may round to either
    assert np.mean(np.abs(again - scores) > 1e-3 * scores.max()) < 1e-3
    assert again.max() == pytest.approx(scores.max(), rel=0.01)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_flips_carry_over(scan, axis):
    volume, mask, zooms = scan
    scores = radial_symmetry(volume, mask, zooms)
    flipped = radial_symmetry(np.flip(volume, axis), np.flip(mask, axis), zooms)
    np.testing.assert_allclose(np.flip(flipped, axis), scores, rtol=1e-3, atol=1e-4 * scores.max())


def test_what_lies_outside_the_brain_does_not_matter(scan):
    volume, mask, zooms = scan
    scores = radial_symmetry(volume, mask, zooms)
    np.testing.assert_array_equal(radial_symmetry(np.where(mask, volume, 1e6), mask, zooms), scores)
    assert not scores[~mask].any()


@pytest.mark.parametrize("margin", [0.6, 2.0, 3.3])
def test_the_margin_is_a_distance_from_the_outside(scan, margin):
    volume, mask, zooms = scan
    everywhere = radial_symmetry(volume, mask, zooms)
    inner = radial_symmetry(volume, mask, zooms, RadialSymmetry(margin_mm=margin))
    far = distance_transform_edt(mask, sampling=zooms) > margin
    assert mask[:, :, 0].any()  # the volume's first slice is no rim
    np.testing.assert_array_equal(inner, everywhere * far)


def test_nothing_to_see(scan):
    _, mask, zooms = scan
    assert not radial_symmetry(np.full(mask.shape, 7.0), mask, zooms, RadialSymmetry(presmooth_mm=0)).any()


# --- maxima ----------------------------------------------------------------------------------------------------------


def test_maxima_one_by_one():
    zooms = (0.5, 0.8, 2.0)
    scores = np.random.default_rng(2).random((12, 9, 7)).astype(np.float32)
    scores[scores < 0.3] = 0
    peaks = []
    for voxel in np.ndindex(scores.shape):
        around = tuple(slice(max(n - 1, 0), n + 2) for n in voxel)
        if scores[voxel] > 0 and scores[voxel] == scores[around].max():
            peaks.append(voxel)
    expected = []
    for peak in sorted(peaks, key=lambda v: -scores[v]):
        if all(math.dist(np.multiply(peak, zooms), np.multiply(other, zooms)) > 1.8 for other in expected):
            expected.append(peak)
    assert len(expected) < len(peaks)
    voxels, values = local_maxima(scores, zooms, separation_mm=1.8)
    assert [tuple(v) for v in voxels] == expected
    np.testing.assert_array_equal(values, [scores[v] for v in expected])
    few, _ = local_maxima(scores, zooms, separation_mm=1.8, most=3)
    np.testing.assert_array_equal(few, voxels[:3])


def test_no_maxima():
    voxels, values = local_maxima(np.zeros((3, 4, 5), np.float32), (1, 1, 1), separation_mm=2)
    assert voxels.shape == (0, 3)
    assert not len(values)


def test_of_equals_the_first_stays():
    points = np.array([[0.0, 0, 0], [1, 0, 0], [2.5, 0, 0], [0, 0, 9]])
    assert strongest(points, np.array([1.0, 1, 1, 0.1]), 2).tolist() == [True, False, True, True]


# --- what is refused -------------------------------------------------------------------------------------------------


def test_refused(scan):
    volume, mask, zooms = scan
    with pytest.raises(DataError, match="empty"):
        radial_symmetry(volume, np.zeros_like(mask), zooms)
    with pytest.raises(DataError, match="one three-dimensional shape"):
        radial_symmetry(volume[1:], mask, zooms)
    with pytest.raises(UsageError, match="too small for voxels"):
        radial_symmetry(volume, mask, zooms, RadialSymmetry(radii_mm=(0.05,)))


@pytest.mark.parametrize(
    "wrong", [{"radii_mm": ()}, {"radii_mm": (0.0,)}, {"strictness": 0}, {"spread": -1}, {"margin_mm": float("nan")}]
)
def test_recipes_out_of_range(wrong):
    with pytest.raises(UsageError):
        RadialSymmetry(**wrong)


# --- each slice by itself --------------------------------------------------------------------------------------------


def test_planar_looks_at_each_slice_by_itself():
    slice_ = np.random.default_rng(0).normal(100, 5, (24, 26)).astype(np.float32)
    slice_[10:13, 12:15] = 20
    alone = radial_symmetry(slice_[..., None], np.ones((24, 26, 1), bool), ZOOMS[1], planar=True)
    stack = np.repeat(slice_[..., None], 5, axis=2)
    together = radial_symmetry(stack, np.ones(stack.shape, bool), ZOOMS[1], planar=True)
    np.testing.assert_allclose(together, np.repeat(alone, 5, axis=2), rtol=1e-4, atol=1e-6)
    assert np.unravel_index(alone.argmax(), alone.shape) == (11, 13, 0)
    other = stack.copy()
    other[..., 0] = np.flip(slice_)
    changed = radial_symmetry(other, np.ones(stack.shape, bool), ZOOMS[1], planar=True)
    np.testing.assert_allclose(changed[..., 1:], together[..., 1:], rtol=1e-3, atol=1e-6)


def test_planar_takes_a_vessel_through_the_slices_for_as_round_as_a_ball():
    grid = np.indices((30, 40, 11)).astype(float) * np.array(ZOOMS[2])[:, None, None, None]
    volume = np.full(grid.shape[1:], 100.0)
    volume[np.hypot(grid[0] - 15, grid[1] - 10) < 2] = 40
    volume[((grid - np.array([15, 30, 5])[:, None, None, None]) ** 2).sum(0) < 4] = 40
    mask = np.ones(volume.shape, bool)
    ratios = []
    for planar in (False, True):
        scores = radial_symmetry(volume, mask, ZOOMS[2], planar=planar)
        ratios.append(scores[15, 10, 5] / scores[15, 30, 5])
    assert ratios[0] < 0.5
    assert ratios[1] == pytest.approx(1, abs=0.05)
