import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cmb_toolkit.simulation.constants import TISSUES, venous_susceptibility
from cmb_toolkit.simulation.signal import dipole_field, phase_per_ppm, sphere_field, spoiled_gradient_echo


def sphere_on_grid(shape, spacing, radius, oversampling=4):
    """Volume fractions of a centred sphere, and offsets of the voxel centres."""
    axes = [(np.arange(n) - n // 2) * h for n, h in zip(shape, spacing, strict=True)]
    steps = [(np.arange(oversampling) - (oversampling - 1) / 2) / oversampling * h for h in spacing]
    fraction = np.zeros(shape)
    for dx in steps[0]:
        for dy in steps[1]:
            for dz in steps[2]:
                square = ((axes[0] + dx) ** 2)[:, None, None] + ((axes[1] + dy) ** 2)[:, None] + (axes[2] + dz) ** 2
                fraction += square < radius**2
    return fraction / oversampling**3, np.meshgrid(*axes, indexing="ij")


@pytest.mark.parametrize(
    ("spacing", "b0"),
    [((0.5, 0.5, 0.5), (0, 0, 1)), ((0.5, 0.5, 1.0), (0, 0, 1)), ((0.5, 0.7, 0.5), (0.3, -0.2, 0.93))],
    ids=["isotropic", "anisotropic", "tilted"],
)
def test_kspace_kernel_agrees_with_the_analytic_sphere(spacing, b0):
    shape = tuple(int(32 / h) for h in spacing)
    fraction, (x, y, z) = sphere_on_grid(shape, spacing, 3.0)
    b0 = np.asarray(b0) / np.linalg.norm(b0)
    field = dipole_field(fraction, spacing, b0_direction=b0, padding_mm=(16, 16, 16))
    exact = sphere_field(x, y, z, radius_mm=3.0, susceptibility_ppm=1.0, b0_direction=b0)
    distance = np.sqrt(x**2 + y**2 + z**2)
    outside = (distance > 4.5) & (distance < 14)
    error = (field - exact)[outside]
    assert np.sqrt(np.mean(error**2)) < 1e-3
    assert np.abs(field[distance < 1.5]).max() < 0.01


def test_padding_keeps_a_source_at_one_face_from_reaching_the_other():
    source = np.zeros((24, 24, 32), np.float32)
    source[12, 12, 0] = 1
    wrapped = dipole_field(source, (1, 1, 1))[12, 12, -1]
    padded = dipole_field(source, (1, 1, 1), padding_mm=(16, 16, 16))[12, 12, -1]
    assert abs(padded) < 0.002 * abs(wrapped)


def test_the_field_of_a_cylinder_along_b0_is_a_third_of_its_susceptibility():
    x, y = np.meshgrid(np.arange(64) - 32, np.arange(64) - 32, indexing="ij")
    cylinder = np.repeat((x**2 + y**2 < 5.5**2)[:, :, None], 8, axis=2).astype(np.float32)
    field = dipole_field(cylinder, (0.5, 0.5, 2.0), padding_mm=(32, 32, 0))
    assert field[32, 32] == pytest.approx(1 / 3, abs=0.005)
    assert np.abs(field[32 + 9, 32]).max() < 0.01


def test_the_sphere_is_a_dipole_outside_and_nothing_inside():
    at = {"radius_mm": 2.0, "susceptibility_ppm": 1.5}
    zero = np.zeros(1)
    assert sphere_field(zero, zero, np.array([2.0]), **at) == pytest.approx(2 / 3 * 1.5)
    assert sphere_field(np.array([2.0]), zero, zero, **at) == pytest.approx(-1 / 3 * 1.5)
    assert sphere_field(zero, zero, np.array([4.0]), **at) == pytest.approx(2 / 3 * 1.5 / 8)
    assert sphere_field(np.array([1.0]), np.array([1.0]), np.array([1.0]), **at) == 0


@pytest.mark.parametrize(
    ("repetition", "echo", "expected"), [(27.0, 20.0, 0.054095), (40.0, 13.7, 0.075070)], ids=["HR", "LR"]
)
def test_white_matter_signal_against_values_worked_out_by_hand(repetition, echo, expected):
    t = TISSUES["white matter"]
    signal = spoiled_gradient_echo(
        t.t1_ms, t.t2star_ms, t.proton_density, repetition_time_ms=repetition, echo_time_ms=echo, flip_angle_deg=15
    )
    assert signal == pytest.approx(expected, rel=2e-4)


@given(st.floats(100, 5000), st.floats(1, 500), st.floats(0.1, 1), st.floats(1, 90))
def test_a_long_repetition_time_leaves_the_transverse_part_of_all_magnetisation(t1, t2star, density, angle):
    signal = spoiled_gradient_echo(
        t1, t2star, density, repetition_time_ms=100 * t1, echo_time_ms=t2star, flip_angle_deg=angle
    )
    assert signal == pytest.approx(density * np.sin(np.deg2rad(angle)) / np.e, rel=1e-6)


def test_phase_per_ppm_of_the_two_protocols():
    assert phase_per_ppm(20.0) == pytest.approx(16.05, abs=0.01)
    assert phase_per_ppm(13.7) == pytest.approx(11.00, abs=0.01)


def test_veins_lie_between_0_4_and_0_6_ppm():
    assert 0.40 < venous_susceptibility(0.66) < venous_susceptibility(0.52) < 0.60
