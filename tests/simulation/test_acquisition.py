import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from cmb_toolkit.simulation.acquisition import (
    PROTOCOLS,
    SCANNERS,
    acquire,
    draw_motion,
    kspace_support,
    moved,
    store_phase,
)


def test_the_papers_protocols():
    hr, lr = PROTOCOLS["HR"], PROTOCOLS["LR"]
    assert [n * v for n, v in zip(hr.matrix, hr.voxel_mm, strict=True)] == [224, 256, 144]
    assert [n * v for n, v in zip(lr.matrix, lr.voxel_mm, strict=True)] == pytest.approx([201.6, 230.4, 144])
    assert (hr.echo_time_ms, hr.repetition_time_ms, hr.flip_angle_deg) == (20, 27, 15)
    assert (lr.echo_time_ms, lr.repetition_time_ms, lr.flip_angle_deg) == (13.7, 40, 15)


@pytest.mark.parametrize("name", PROTOCOLS)
def test_noise_has_the_standard_deviation_asked_for(name):
    protocol = PROTOCOLS[name]
    flat = np.ones((64, 70, 24), np.complex64)
    image = acquire(flat, protocol, noise=0.05, rng=np.random.default_rng(0))
    assert (image - acquire(flat, protocol)).real.std() == pytest.approx(0.05, rel=0.05)
    assert (image - acquire(flat, protocol)).imag.std() == pytest.approx(0.05, rel=0.05)
    assert np.abs(image).std() == pytest.approx(0.05, rel=0.06)


def test_the_background_is_rician():
    image = acquire(np.zeros((64, 64, 16), np.complex64), PROTOCOLS["HR"], noise=1.0, rng=np.random.default_rng(0))
    assert np.abs(image).mean() == pytest.approx(np.sqrt(np.pi / 2), rel=0.02)


@pytest.mark.parametrize("name", PROTOCOLS)
def test_a_flat_image_passes_unchanged(name):
    flat = np.full((32, 8, 16), 2 + 1j, np.complex64)
    assert np.allclose(acquire(flat, PROTOCOLS[name]), flat, atol=1e-5)


def test_low_resolution_and_partial_fourier_blur_along_the_phase_axis():
    point = np.zeros((64, 1, 32), np.complex64)
    point[32, 0, 16] = 1
    peak = {name: np.abs(acquire(point, PROTOCOLS[name])).max() for name in ("LR", "HR", "tiny")}
    assert peak["LR"] < 0.6 * peak["HR"] < peak["HR"] < peak["tiny"] <= 1


def test_partial_fourier_leaves_one_side_of_kspace():
    support = kspace_support(64, 16, PROTOCOLS["HR"])
    k = np.fft.fftfreq(64)
    assert (support[k < -0.26] == 0).all()
    assert (support[(k > 0.3) & (k < 0.4), 0] > 0).all()
    assert support[0, 0] == 1


def test_noise_needs_a_generator():
    with pytest.raises(TypeError, match="generator"):
        acquire(np.ones((8, 8, 8), np.complex64), PROTOCOLS["tiny"], noise=1.0)


@given(arrays(np.float32, 20, elements=st.floats(-3.140625, 3.140625, width=32)), st.sampled_from(sorted(SCANNERS)))
def test_stored_phase_can_be_read_back(phase, scanner):
    stored = store_phase(phase, SCANNERS[scanner])
    values = stored.slope * stored.data + stored.intercept
    back = SCANNERS[scanner].phase_sign * values / stored.full_cycle * 2 * np.pi
    assert np.abs(np.angle(np.exp(1j * (back - phase)))).max() < 0.002
    limit = 4096 if SCANNERS[scanner].phase_storage == "siemens" else 3142
    assert np.abs(values).max() <= limit


def test_siemens_storage_uses_twelve_bits():
    stored = store_phase(np.linspace(-np.pi, np.pi, 10001).astype(np.float32), SCANNERS["scanner-a"])
    assert stored.data.min() == 0
    assert stored.data.max() == 4095
    assert (2 * 0 - 4096, 2 * 4095 - 4096) == (-4096, 4094)


def test_a_head_that_stays_elsewhere_is_shifted_and_nothing_else():
    rng = np.random.default_rng(0)
    image = (rng.standard_normal((16, 12, 8)) + 1j * rng.standard_normal((16, 12, 8))).astype(np.complex64)
    voxel = (0.5, 0.5, 2.0)
    path = np.tile([1.0, -0.5, 2.0], (16, 1))
    assert moved(image, path, voxel) == pytest.approx(np.roll(image, (2, -1, 1), (0, 1, 2)), abs=1e-4)
    assert moved(image, np.zeros((16, 3)), voxel) == pytest.approx(image, abs=1e-4)


def test_motion_is_as_large_as_asked_for_and_about_the_mean():
    path = draw_motion(np.random.default_rng(1), 200, 1.5)
    assert np.sqrt((path**2).sum(1).mean()) == pytest.approx(1.5)
    assert path.mean(0) == pytest.approx(np.zeros(3), abs=1e-9)
    assert not draw_motion(np.random.default_rng(1), 200, 0.0).any()
