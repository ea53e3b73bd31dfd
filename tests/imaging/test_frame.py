import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cmb_toolkit.errors import UsageError
from cmb_toolkit.imaging.frame import apply, make_frame, to_image, to_voxel

lengths = st.integers(1, 90)
modes = st.sampled_from(["auto", "crop", "resize"])


def test_hr_drops_32_rows_at_top_and_bottom():
    frame = make_frame((448, 512))
    assert frame.mode == "crop"
    volume = np.zeros((448, 512), np.float32)
    volume[:, 512 - 32] = 1  # the 32nd voxel row from anterior is the last one dropped
    volume[:, 512 - 33] = 2
    volume[:, 32] = 3
    volume[:, 31] = 4
    image = apply(frame, volume)
    assert image.shape == (448, 448)
    assert (image[0] == 2).all()
    assert (image[-1] == 3).all()
    assert set(np.unique(image)) == {0, 2, 3}


def test_lr_is_scaled_with_a_factor_for_each_axis():
    frame = make_frame((252, 288))
    assert frame.mode == "resize"
    assert frame.scale_column == pytest.approx(448 / 252)
    assert frame.scale_row == pytest.approx(448 / 288)


def test_radiological_orientation():
    frame = make_frame((10, 12), size=12, mode="crop")
    plane = np.zeros((10, 12))
    plane[9, 11] = 1  # the patient's right, anterior
    rows, columns = np.nonzero(apply(frame, plane))
    assert (rows[0], columns[0]) == (0, 1)  # top left, after one padded column


def test_odd_remainder_goes_right_and_bottom():
    padded = apply(make_frame((3, 3), size=6, mode="crop"), np.ones((3, 3)))
    assert np.nonzero(padded.any(0))[0].tolist() == [1, 2, 3]
    ramp = np.arange(7.0)[::-1, None] * np.ones((1, 7))  # value = distance from the patient's right [voxel]
    cropped = apply(make_frame((7, 7), size=4, mode="crop"), ramp)
    assert cropped[0].tolist() == [1, 2, 3, 4]


def test_auto_crops_up_to_an_eighth_only():
    assert make_frame((448, 512)).mode == "crop"
    assert make_frame((448, 513)).mode == "resize"
    assert make_frame((400, 448)).mode == "crop"
    assert make_frame((398, 448)).mode == "resize"


@given(lengths, lengths, lengths, modes, st.tuples(st.floats(-5, 95), st.floats(-5, 95)))
def test_to_voxel_inverts_to_image(ni, nj, size, mode, point):
    frame = make_frame((ni, nj), size, mode)
    assert np.allclose(to_voxel(frame, to_image(frame, point)), point, atol=1e-9)
    assert np.allclose(to_image(frame, to_voxel(frame, point)), point, atol=1e-9)


@given(st.data(), lengths, lengths, lengths, modes)
@settings(max_examples=300)
def test_a_bright_voxel_lands_where_to_image_says(data, ni, nj, size, mode):
    frame = make_frame((ni, nj), size, mode)
    i = data.draw(st.integers(0, ni - 1))
    j = data.draw(st.integers(0, nj - 1))
    plane = np.zeros((ni, nj), np.float32)
    plane[i, j] = 1
    image = apply(frame, plane)
    column, row = to_image(frame, (i, j))
    if frame.mode == "crop" and not (0 <= column < size and 0 <= row < size):
        assert not image.any()
        return
    assert image.any()
    rows, columns = np.mgrid[:size, :size] + 0.5
    found = np.array([(image * columns).sum(), (image * rows).sum()]) / image.sum()
    # interpolation at the border repeats the outermost voxel, which shifts its centre of mass; inside it is exact
    reach = np.array([frame.scale_column, frame.scale_row])
    at_border = np.array([i in (0, ni - 1), j in (0, nj - 1)])
    tolerance = np.where(frame.mode == "crop", 1e-4, np.where(at_border, np.maximum(reach, 1) * 0.51, 0.501))
    assert (np.abs(found - (column, row)) <= tolerance).all()


@pytest.mark.parametrize("shape", [(252, 288), (288, 252), (51, 51), (224, 128)])
def test_enlarging_keeps_the_place_within_a_hundredth_of_a_pixel(shape):
    frame = make_frame(shape, 448, "resize")
    i, j = np.mgrid[: shape[0], : shape[1]]
    centre = np.array([shape[0] * 0.37, shape[1] * 0.61])
    blob = np.exp(-((i - centre[0]) ** 2 + (j - centre[1]) ** 2) / 18)
    image = apply(frame, blob)
    rows, columns = np.mgrid[:448, :448] + 0.5
    found = np.array([(image * columns).sum(), (image * rows).sum()]) / image.sum()
    assert np.allclose(found, to_image(frame, centre), atol=0.01)


def test_resize_is_opencv_bilinear():
    plane = np.random.default_rng(1).random((25, 28)).astype(np.float32)
    wanted = cv2.resize(np.ascontiguousarray(plane.T[::-1, ::-1]), (44, 44), interpolation=cv2.INTER_LINEAR)
    assert np.allclose(apply(make_frame((25, 28), 44), plane), wanted, atol=1e-6)


def test_volumes_are_their_planes():
    volume = np.random.default_rng(2).random((20, 24, 3))
    for mode in ("crop", "resize"):
        frame = make_frame((20, 24), 22, mode)
        images = apply(frame, volume)
        assert images.shape == (3, 22, 22)
        assert images.dtype == np.float32
        for k in range(3):
            assert np.array_equal(images[k], apply(frame, volume[:, :, k]))


def test_wrong_arguments_are_refused():
    with pytest.raises(UsageError, match=r"\(20, 24\)"):
        apply(make_frame((20, 24), 22), np.zeros((24, 20)))
    with pytest.raises(UsageError, match="stretch"):
        make_frame((20, 24), 22, "stretch")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="positive"):
        make_frame((0, 24), 22)
