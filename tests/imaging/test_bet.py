"""The brain mask against heads whose brain is known."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from cmb_toolkit.errors import DataError
from cmb_toolkit.imaging import bet as bet_module
from cmb_toolkit.imaging.bet import _upsample, bet
from cmb_toolkit.imaging.mesh import filled, folded_share, icosphere


def dice(a, b):
    return 2 * (a & b).sum() / (a.sum() + b.sum())


@pytest.fixture(scope="module")
def extraction(head):
    return bet(head.magnitude, head.zooms)


def test_whole_head(head, extraction):
    assert dice(extraction.mask, head.brain) > 0.95
    assert not extraction.uncertain
    # one body without holes
    assert ndimage.label(extraction.mask)[1] == 1
    assert (ndimage.binary_fill_holes(extraction.mask) == extraction.mask).all()


def test_gradient_moves_the_surface_at_both_ends(head, extraction):
    """As BET's own option: positive for a larger brain below and a smaller one above."""
    tilted = bet(head.magnitude, head.zooms, gradient=0.3).mask
    half = head.magnitude.shape[2] // 2
    more, fewer = tilted & ~extraction.mask, extraction.mask & ~tilted
    assert more[..., :half].sum() > fewer[..., :half].sum()
    assert fewer[..., half:].sum() > more[..., half:].sum()


def test_a_coil_that_shines_from_one_side(head, extraction):
    """Three times as bright behind as in front, as a surface coil may make it."""
    slope = np.linspace(0.5, 1.5, head.magnitude.shape[1], dtype=np.float32)[None, :, None]
    assert dice(bet(head.magnitude * slope, head.zooms).mask, extraction.mask) > 0.98


def test_scale_of_the_magnitude_does_not_matter(head, extraction):
    assert (bet(head.magnitude * 512, head.zooms).mask == extraction.mask).all()  # a power of two rounds nothing


def test_deterministic(head, extraction):
    assert (bet(head.magnitude, head.zooms).mask == extraction.mask).all()


def test_surface_leaves_through_the_ends_of_a_slab(slab):
    extraction = bet(slab.magnitude, slab.zooms)
    assert extraction.capped == (True, True)
    for k in range(slab.magnitude.shape[2]):  # the end slices too
        assert dice(extraction.mask[:, :, k], slab.brain[:, :, k]) > 0.95, k


def test_slab_without_caps_would_lose_its_end_slices(slab, monkeypatch):
    monkeypatch.setattr(bet_module, "_CAP_AREA", 2.0)
    assert dice(bet(slab.magnitude, slab.zooms).mask[:, :, 0], slab.brain[:, :, 0]) < 0.9


def test_smaller_fraction_gives_a_larger_brain(head):
    assert (
        bet(head.magnitude, head.zooms, fraction=0.3).mask.sum()
        > bet(head.magnitude, head.zooms, fraction=0.7).mask.sum()
    )


def test_mirrored_head_gives_the_mirrored_mask(head, extraction):
    mirrored = bet(np.ascontiguousarray(head.magnitude[::-1]), head.zooms).mask[::-1]
    assert dice(mirrored, extraction.mask) > 0.98


def test_crop_is_refused(head):
    with pytest.raises(DataError, match=r"90 x 230 mm.*--brain-mask none"):
        bet(head.magnitude[30:80], head.zooms)


def test_empty_volume_is_refused(head):
    with pytest.raises(DataError, match="no positive value"):
        bet(np.zeros_like(head.magnitude), head.zooms)


def test_icosphere():
    vertices, faces = icosphere(2)
    assert (len(vertices), len(faces)) == (162, 320)
    np.testing.assert_allclose(np.linalg.norm(vertices, axis=1), 1)
    a, b, c = (vertices[faces[:, n]] for n in range(3))
    outward = (np.cross(b - a, c - a) * (a + b + c)).sum(1)
    assert (outward > 0).all()


def test_fill_has_the_volume_of_the_sphere():
    vertices, faces = icosphere(4)
    inside = filled(vertices * 15 + 20, faces, (41, 41, 41))
    # voxels on the surface are included: the radius grows by about half a voxel
    assert inside.sum() == pytest.approx(4 / 3 * np.pi * 15.5**3, rel=0.05)
    assert inside[20, 20, 20]
    assert not inside[2, 2, 2]


def test_self_intersection_is_seen():
    vertices, faces = icosphere(3)
    sphere = vertices.astype(np.float32)
    assert folded_share(sphere, sphere, faces) == 0
    flattened = sphere * np.array([1, 1, 1e-3], np.float32)  # the upper half touches the lower
    assert folded_share(sphere, flattened, faces) > 0.5


def test_upsampling_keeps_position_and_size():
    coarse = np.zeros((20, 24, 8), bool)
    coarse[5:15, 6:18, 2:6] = True
    fine = _upsample(coarse, np.array([2.0, 2.0, 2.0]), np.array([4, 4, 1]), (78, 95, 8))
    found = np.argwhere(fine)
    np.testing.assert_allclose(found.mean(0), (39.5, 47.5, 3.5), atol=0.01)
    assert fine.sum() == pytest.approx(coarse.sum() * 16, rel=0.05)
