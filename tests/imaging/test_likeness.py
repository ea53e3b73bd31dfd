"""The same scan is recognised however it was exported; other scans, of the same head as well, are not taken for it."""

import numpy as np
import pytest

from cmb_toolkit.imaging.likeness import same_scans, signature

SHAPE = (60, 72, 10)


def head(seed, noise_seed):
    i, j, _ = np.indices(SHAPE)
    rng, noise = np.random.default_rng(seed), np.random.default_rng(noise_seed)
    clean = 800.0 * (np.hypot(i - 30, (j - 36) * 0.85) < 26)
    for a, b in rng.integers(15, 45, (60, 2)):
        clean[a, b] *= 0.4
    return np.hypot(clean + 25 * noise.standard_normal(SHAPE), 25 * noise.standard_normal(SHAPE))


@pytest.mark.parametrize(
    "export",
    [
        np.rint,
        lambda x: np.rint(x / 8) * 8,
        lambda x: (x * 32767 / x.max()).astype(np.int16).astype(np.float32),
        lambda x: 3.7e-4 * x + 2,
        lambda x: np.rint(x / x.max() * 255),
    ],
)
def test_the_same_scan_exported_again(export):
    scan, others = head(1, 2), [head(n, n + 10) for n in (3, 4)]
    signatures = [signature(volume) for volume in (scan, others[0], export(scan), others[1])]
    assert same_scans(signatures) == [[0, 2]]


def test_the_same_head_scanned_again_is_another_scan():
    assert same_scans([signature(head(1, noise)) for noise in range(5)]) == []


def test_masked_scans_have_only_the_mask_in_common():
    inside = head(1, 0) > 300
    assert same_scans([signature(np.where(inside, head(n, n), 0)) for n in range(4)]) == []


def test_three_of_one_and_two_of_another():
    one, two = head(1, 1), head(2, 2)
    signatures = [signature(volume) for volume in (one, two, 2 * one, np.rint(two), np.rint(one))]
    assert same_scans(signatures) == [[0, 2, 4], [1, 3]]


def test_what_has_no_signature_is_like_nothing():
    assert signature(np.ones(SHAPE)) == ()
    assert signature(np.ones((3, 3, 3))) == ()
    assert same_scans([(), (), signature(head(1, 1))]) == []
