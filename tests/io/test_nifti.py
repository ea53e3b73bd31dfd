"""NIfTI volumes: axes, scaling, and every kind of damaged or unfit file."""

from __future__ import annotations

import gzip
import itertools
import re
from functools import partial

import nibabel as nib
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cmb_toolkit.errors import DataError, MissingError
from cmb_toolkit.io.nifti import GRID_TOLERANCE, check_same_grid, grids_apart, read_mask, read_volume, write_volume

AXES = ["".join(c) for p in itertools.permutations(("RL", "AP", "SI")) for c in itertools.product(*p)]
SIZE = {"R": 0.5, "L": 0.5, "A": 0.6, "P": 0.6, "S": 2.0, "I": 2.0}


def ras_image(shape=(7, 6, 5)):
    """Values that say where they are: 100 i + 10 j + k."""
    i, j, k = np.mgrid[: shape[0], : shape[1], : shape[2]]
    affine = np.diag([0.5, 0.6, 2.0, 1.0])
    affine[:3, 3] = (-30, 12, 4)
    return nib.Nifti1Image((100 * i + 10 * j + k + 1).astype(np.float32), affine)


def save(image, path):
    nib.save(image, path)
    return path


def oriented(codes):
    image = ras_image()
    target = nib.orientations.axcodes2ornt(codes)
    return image.as_reoriented(nib.orientations.ornt_transform(nib.orientations.axcodes2ornt("RAS"), target))


@pytest.mark.parametrize("codes", AXES)
def test_every_order_of_axes_reads_as_canonical_and_writes_back(tmp_path, codes):
    image = oriented(codes)
    assert "".join(nib.aff2axcodes(image.affine)) == codes
    volume = read_volume(save(image, tmp_path / "in.nii.gz"))
    np.testing.assert_array_equal(volume.data, ras_image().get_fdata())
    np.testing.assert_allclose(volume.affine, ras_image().affine, atol=1e-5)
    assert volume.zooms == pytest.approx((0.5, 0.6, 2.0))

    write_volume(tmp_path / "out.nii.gz", volume.data * 2, volume)
    back = nib.load(tmp_path / "out.nii.gz")
    np.testing.assert_array_equal(back.get_fdata(), image.get_fdata() * 2)
    np.testing.assert_allclose(back.affine, image.affine, atol=1e-5)
    assert back.get_data_dtype() == np.float32
    assert back.header.get_zooms() == pytest.approx([SIZE[c] for c in codes])


@given(
    axes=st.sampled_from(AXES),
    angle=st.floats(-0.4, 0.4),
    shape=st.tuples(st.integers(2, 6), st.integers(2, 6), st.integers(2, 6)),
)
@settings(max_examples=30, deadline=None)
def test_oblique_volumes_keep_their_world_coordinates(tmp_path_factory, axes, angle, shape):
    path = tmp_path_factory.mktemp("oblique") / "in.nii"
    turn = np.eye(4)
    turn[1:3, 1:3] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    image = ras_image(shape)
    image = nib.Nifti1Image(image.get_fdata().astype(np.float32), turn @ image.affine)
    target = nib.orientations.axcodes2ornt(axes)
    image = image.as_reoriented(nib.orientations.ornt_transform(nib.orientations.axcodes2ornt("RAS"), target))
    volume = read_volume(save(image, path))
    place = tuple(n // 2 for n in shape)
    value = volume.data[place]
    own = np.argwhere(np.asarray(image.dataobj) == value)[0]
    np.testing.assert_allclose(volume.affine @ [*place, 1], image.affine @ [*own, 1], atol=1e-4)
    write_volume(path, volume.data, volume)
    np.testing.assert_array_equal(nib.load(path).get_fdata(), image.get_fdata())


def test_slope_and_intercept_are_applied_once(tmp_path):
    raw = np.arange(4 * 4 * 4, dtype=np.int16).reshape(4, 4, 4)
    image = nib.Nifti1Image(raw, np.eye(4))
    image.header.set_slope_inter(2, -4096)
    path = save(image, tmp_path / "phase.nii.gz")
    volume = read_volume(path)
    np.testing.assert_array_equal(volume.data, raw * 2.0 - 4096)
    write_volume(tmp_path / "again.nii.gz", volume.data, volume)
    np.testing.assert_array_equal(read_volume(tmp_path / "again.nii.gz").data, volume.data)


def test_masks_are_stored_small(tmp_path):
    volume = read_volume(save(ras_image(), tmp_path / "in.nii.gz"))
    mask = volume.data > 300
    write_volume(tmp_path / "mask.nii.gz", mask, volume, np.uint8)
    assert nib.load(tmp_path / "mask.nii.gz").get_data_dtype() == np.uint8
    np.testing.assert_array_equal(read_mask(tmp_path / "mask.nii.gz", volume), mask)


def test_nothing_personal_is_copied(tmp_path):
    image = ras_image()
    image.header["descrip"] = b"DOE JANE 19500101"
    image.header["aux_file"] = b"DOE.dcm"
    image.header.extensions.append(nib.nifti1.Nifti1Extension("comment", b"DOE JANE"))
    volume = read_volume(save(image, tmp_path / "in.nii"))
    write_volume(tmp_path / "out.nii", volume.data, volume)
    assert b"DOE" not in (tmp_path / "out.nii").read_bytes()


def test_same_content_is_the_same_file(tmp_path):
    volume = read_volume(save(ras_image(), tmp_path / "in.nii.gz"))
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        write_volume(tmp_path / name / "out.nii.gz", volume.data, volume)
    assert (tmp_path / "a/out.nii.gz").read_bytes() == (tmp_path / "b/out.nii.gz").read_bytes()


def test_missing(tmp_path):
    with pytest.raises(MissingError, match=r"nowhere\.nii\.gz: not found"):
        read_volume(tmp_path / "nowhere.nii.gz")
    with pytest.raises(MissingError, match="is a folder"):
        read_volume(tmp_path)


@pytest.mark.parametrize("share", [0.02, 0.5, 0.98])
def test_truncated_gzip(tmp_path, share):
    image = nib.Nifti1Image(np.random.default_rng(0).normal(0, 1, (30, 30, 30)), np.diag([1, 1, 2, 1]))
    path = save(image, tmp_path / "cut.nii.gz")
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(DataError, match=r"cut\.nii\.gz: .*(damaged or cut short|not a NIfTI)"):
        read_volume(path)


def test_truncated_plain(tmp_path):
    path = save(ras_image((20, 20, 20)), tmp_path / "cut.nii")
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(DataError, match=r"cut\.nii: damaged or cut short"):
        read_volume(path)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.nii", b"not an image at all"),
        ("a.nii.gz", gzip.compress(b"version https://git-lfs.github.com/spec/v1", mtime=0)),
        ("a.nii.gz", b"version https://git-lfs.github.com/spec/v1\n"),
        ("a.nii", b""),
        ("a.nii.gz", b""),
        ("a.txt", b"text"),
        ("a.nii", b"\0" * 1000),
    ],
)
def test_not_nifti(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=r"a\.\w+.*: (not a NIfTI|damaged)"):
        read_volume(tmp_path / name)


def test_other_formats_are_named(tmp_path):
    nib.save(nib.MGHImage(np.ones((3, 3, 3), np.float32), np.eye(4)), tmp_path / "a.mgz")
    with pytest.raises(DataError, match="not a NIfTI file, but a FreeSurfer volume"):
        read_volume(tmp_path / "a.mgz")


def with_data(change, shape=(7, 6, 5)):
    image = ras_image(shape)
    data = image.get_fdata().astype(np.float32)
    return nib.Nifti1Image(change(data), image.affine)


def test_all_nan(tmp_path):
    path = save(with_data(lambda d: d * np.nan), tmp_path / "nan.nii.gz")
    with pytest.raises(DataError, match=r"nan\.nii\.gz: 100% of its values are NaN"):
        read_volume(path)


@pytest.mark.parametrize("value", [0.0, 7.0])
def test_constant(tmp_path, value):
    path = save(with_data(lambda d: d * 0 + value), tmp_path / "flat.nii.gz")
    with pytest.raises(DataError, match=rf"flat\.nii\.gz: every voxel is {value:g}"):
        read_volume(path)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_some_nan_become_zero_and_are_noted(tmp_path, bad):
    def pad(data):
        data[0] = bad
        return data

    volume = read_volume(save(with_data(pad), tmp_path / "padded.nii.gz"))
    assert (volume.data[0] == 0).all()
    assert volume.invalid is not None
    assert volume.invalid[0].all()
    assert not volume.invalid[1:].any()
    assert volume.notes == ("14.29% of its values were NaN or infinite and were set to 0",)


def echoes(count=3):
    image = ras_image()
    data = np.stack([image.get_fdata() * (n + 1) for n in range(count)], 3).astype(np.float32)
    return nib.Nifti1Image(data, image.affine)


def test_four_dimensions_need_an_echo(tmp_path):
    path = save(echoes(), tmp_path / "multi.nii.gz")
    with pytest.raises(DataError, match=r"multi\.nii\.gz: has 4 dimensions.*3 echoes.*--echo N, 1 to 3"):
        read_volume(path)
    np.testing.assert_array_equal(read_volume(path, echo=2).data, ras_image().get_fdata() * 2)
    with pytest.raises(DataError, match="has no echo 4; it holds 3 volumes"):
        read_volume(path, echo=4)
    with pytest.raises(DataError, match="has no echo 2; it holds 1 volume"):
        read_volume(save(ras_image(), tmp_path / "single.nii.gz"), echo=2)


def test_a_fourth_axis_of_one_is_dropped(tmp_path):
    path = save(echoes(1), tmp_path / "one.nii.gz")
    assert read_volume(path).shape == (7, 6, 5)
    assert read_volume(path, echo=1).shape == (7, 6, 5)


@pytest.mark.parametrize("shape", [(5, 5), (5, 5, 5, 2, 2)])
def test_other_numbers_of_axes(tmp_path, shape):
    path = save(nib.Nifti1Image(np.random.default_rng(0).normal(0, 1, shape), np.eye(4)), tmp_path / "odd.nii.gz")
    with pytest.raises(DataError, match=r"odd\.nii\.gz: has shape 5 x 5"):
        read_volume(path)


def test_complex(tmp_path):
    magnitude, angle = ras_image().get_fdata(), np.linspace(-3, 3, 210).reshape(7, 6, 5)
    image = nib.Nifti1Image((magnitude * np.exp(1j * angle)).astype(np.complex64), ras_image().affine)
    path = save(image, tmp_path / "complex.nii.gz")
    with pytest.raises(DataError, match=r"complex\.nii\.gz: holds complex values"):
        read_volume(path)
    np.testing.assert_allclose(read_volume(path, part="magnitude").data, magnitude, rtol=1e-5)
    np.testing.assert_allclose(read_volume(path, part="phase").data, angle, atol=1e-5)


def test_colours(tmp_path):
    colour = np.zeros((4, 4, 4), np.dtype([("R", "u1"), ("G", "u1"), ("B", "u1")]))
    path = save(nib.Nifti1Image(colour, np.eye(4)), tmp_path / "rgb.nii.gz")
    with pytest.raises(DataError, match=r"rgb\.nii\.gz: holds colours"):
        read_volume(path)


@pytest.mark.parametrize(("sizes", "plane"), [((2, 0.5, 0.5), "sagittal"), ((0.5, 2, 0.5), "coronal")])
def test_other_planes_are_refused(tmp_path, sizes, plane):
    data = np.random.default_rng(0).normal(0, 1, (5, 6, 7))
    path = save(nib.Nifti1Image(data, np.diag([*sizes, 1])), tmp_path / "plane.nii.gz")
    with pytest.raises(DataError, match=rf"plane\.nii\.gz: .*{plane} scan"):
        read_volume(path)


def coded(sizes, axes="RAS", slices=None):
    """Voxels of these sizes [mm] along right, anterior and superior, stored in the order `axes`."""
    data = np.random.default_rng(0).normal(0, 1, (5, 6, 7))
    image = nib.Nifti1Image(data, np.diag([*sizes, 1]))
    target = nib.orientations.axcodes2ornt(axes)
    image = image.as_reoriented(nib.orientations.ornt_transform(nib.orientations.axcodes2ornt("RAS"), target))
    if slices is not None:
        image.header.set_dim_info(slice=axes.index(slices))
    return image


@pytest.mark.parametrize("sizes", [(1, 1, 0.5), (0.43, 0.43, 0.3), (1, 1, 0.75), (0.9, 0.8, 0.6)])
@pytest.mark.parametrize(("axes", "slices"), [("RAS", None), ("LPS", None), ("PLI", "I"), ("SRA", "S")])
def test_thin_axial_slices_are_axial(tmp_path, sizes, axes, slices):
    path = save(coded(sizes, axes, slices), tmp_path / "thin.nii.gz")
    assert read_volume(path).zooms == pytest.approx(sizes)


@pytest.mark.parametrize(
    ("sizes", "axes", "slices", "why"),
    [
        ((1, 1, 0.5), "PSR", None, "its slices are stacked along the left-right axis .* a sagittal scan"),
        ((1, 1, 0.5), "RSA", None, "its slices are stacked along the front-back axis .* a coronal scan"),
        ((1, 1, 0.5), "RAS", "A", "its slices are stacked along the front-back axis .* a coronal scan"),
        ((0.5, 2, 0.5), "RAS", None, "its voxels are thickest along the front-back axis .* a coronal scan"),
        ((2, 0.5, 0.5), "PSR", None, "its slices are stacked along the left-right axis .* a sagittal scan"),
    ],
)
def test_other_planes_are_refused_for_what_they_are(tmp_path, sizes, axes, slices, why):
    with pytest.raises(DataError, match=why):
        read_volume(save(coded(sizes, axes, slices), tmp_path / "plane.nii.gz"))


def test_a_mask_lies_as_its_scan_does_in_whatever_order_it_is_stored(tmp_path):
    like = read_volume(save(coded((1, 1, 0.5)), tmp_path / "like.nii.gz"))
    mask = coded((1, 1, 0.5), "PSR")
    mask = nib.Nifti1Image((mask.get_fdata() > 0).astype(np.uint8), mask.affine)
    np.testing.assert_array_equal(read_mask(save(mask, tmp_path / "mask.nii.gz"), like), like.data > 0)


def test_isotropic_voxels_are_taken(tmp_path):
    data = np.random.default_rng(0).normal(0, 1, (5, 6, 7))
    assert read_volume(save(nib.Nifti1Image(data, np.diag([1, 1, 0.9, 1])), tmp_path / "iso.nii.gz")).shape == (5, 6, 7)


def test_broken_geometry(tmp_path):
    image = ras_image()
    image.header.set_sform(np.zeros((4, 4)), code=1)
    image.header.set_qform(None, code=0)
    path = tmp_path / "flat.nii"
    raw = nib.Nifti1Image(image.get_fdata(), None, image.header)
    nib.save(raw, path)
    with pytest.raises(DataError, match=r"flat\.nii: its header has no usable geometry"):
        read_volume(path)


def test_strange_headers_are_noted(tmp_path):
    image = nib.Nifti1Image(ras_image().get_fdata(), None)
    image.header.set_zooms((0.5, 0.5, 2))
    image.header["qform_code"] = image.header["sform_code"] = 0
    assert "no orientation" in read_volume(save(image, tmp_path / "none.nii")).notes[0]
    image = ras_image()
    image.set_qform(np.diag([0.5, 0.6, 2.0, 1.0]), code=1)
    image.set_sform(image.affine, code=1)
    assert "qform and sform differ" in read_volume(save(image, tmp_path / "two.nii")).notes[0]


def test_two_grids(tmp_path):
    first = read_volume(save(ras_image(), tmp_path / "one.nii.gz"))
    smaller = read_volume(save(ras_image((7, 6, 4)), tmp_path / "two.nii.gz"))
    with pytest.raises(DataError, match=r"one\.nii\.gz and .*two\.nii\.gz: shapes 7 x 6 x 5 and 7 x 6 x 4"):
        check_same_grid(first, smaller)
    moved = ras_image()
    moved = nib.Nifti1Image(moved.get_fdata(), moved.affine + np.eye(4, k=3) * 0.1)
    with pytest.raises(DataError, match=r"one\.nii\.gz and .*three\.nii\.gz: their corners lie up to 0\.2 voxels"):
        check_same_grid(first, read_volume(save(moved, tmp_path / "three.nii.gz")))


@pytest.mark.parametrize("shape", [(40, 48, 6), (448, 512, 6)])
@pytest.mark.parametrize("voxel", [0.5, 2.0])
def test_grids_are_the_same_within_a_tenth_of_a_voxel_at_their_corners(shape, voxel):
    affine = np.diag([voxel, voxel, 3, 1])
    affine[:3, 3] = (-90, 100, 20)

    def turned(angle):
        turn = np.eye(4)
        turn[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
        return affine @ turn

    def stretched(far):
        other = affine.copy()
        other[0, 0] += far * voxel / (shape[0] - 1)
        return other

    def moved(by, axis):
        other = affine.copy()
        other[axis, 3] += by * affine[axis, axis]
        return other

    apart = partial(grids_apart, shape, affine)
    assert apart(affine) == 0
    assert apart(moved(0.05, 0)) == pytest.approx(0.05)
    assert apart(moved(-0.4, 2)) == pytest.approx(0.4)
    assert apart(stretched(0.3)) == pytest.approx(0.3)  # an entry differs by 0.0003 to 0.015 mm
    assert apart(turned(0.001)) == pytest.approx(0.001 * (shape[1] - 1), rel=0.01)  # the longer side's far end
    assert (apart(turned(0.001)) <= GRID_TOLERANCE) == (shape[0] == 40)


def test_same_grid_in_another_order_of_axes_is_the_same_grid(tmp_path):
    first = read_volume(save(ras_image(), tmp_path / "one.nii.gz"))
    check_same_grid(first, read_volume(save(oriented("LPS"), tmp_path / "two.nii.gz")))


def test_masks(tmp_path):
    like = read_volume(save(ras_image(), tmp_path / "like.nii.gz"))
    full = save(with_data(lambda d: d * 0 + 1), tmp_path / "full.nii.gz")
    assert read_mask(full, like).all()  # constant, but a mask may be
    empty = save(with_data(lambda d: d * 0), tmp_path / "empty.nii.gz")
    with pytest.raises(DataError, match=r"empty\.nii\.gz: the mask is empty"):
        read_mask(empty, like)
    other = save(with_data(lambda d: np.float32(d > 100), (7, 6, 4)), tmp_path / "other.nii.gz")
    with pytest.raises(DataError, match=r"like\.nii\.gz and .*other\.nii\.gz: shapes"):
        read_mask(other, like)


WHERE = ras_image().get_fdata() > 300


@pytest.mark.parametrize(
    "values",
    [WHERE * 1, WHERE * 255, WHERE * 0.7, np.where(WHERE, 1, np.nan), WHERE + WHERE * 1e-6 * np.mgrid[:7, :6, :5][0]],
)
def test_a_mask_has_one_value_inside(tmp_path, values):
    like = read_volume(save(ras_image(), tmp_path / "like.nii.gz"))
    path = save(nib.Nifti1Image(values.astype(np.float32), like.affine), tmp_path / "mask.nii.gz")
    np.testing.assert_array_equal(read_mask(path, like), WHERE)


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        (lambda d: d / 1000, "values of 0.001 to 0.655, as probabilities are"),
        (lambda d: np.clip((d - 300) / 100, 0, 1), "values of 0 to 1, as probabilities are"),
        (lambda d: (d - 300) / 100, "values of -2.99 to 3.55, as signed distances are"),
        (lambda d: 1 - 2.0 * (d > 300), "values of -1 to 1, as signed distances are"),
        (lambda d: d * 0 - 1, "values of -1 to -1, as signed distances are"),
        (lambda d: d // 100, "the labels 0, 1, 2, 3, 4 ...;"),
        (lambda d: d // 400 + 1, "the labels 1, 2;"),
        (lambda d: d + 0.5, "210 different values of 1.5 to 655.5, as an image has them"),
        (lambda d: np.where(d > 300, np.inf, 0), "2 different values of 0 to inf"),
    ],
)
def test_maps_are_not_taken_for_masks(tmp_path, change, kind):
    like = read_volume(save(ras_image(), tmp_path / "like.nii.gz"))
    path = save(with_data(change), tmp_path / "map.nii.gz")
    with pytest.raises(DataError, match=r"map\.nii\.gz: is no mask but " + re.escape(kind.removesuffix(";"))):
        read_mask(path, like)


def test_a_mask_of_several_volumes(tmp_path):
    like = read_volume(save(ras_image(), tmp_path / "like.nii.gz"))
    with pytest.raises(DataError, match=r"shape 7 x 6 x 5 x 3; a mask is one volume"):
        read_mask(save(echoes(), tmp_path / "mask.nii.gz"), like)


def test_writing_another_shape_is_a_mistake_of_ours(tmp_path):
    like = read_volume(save(ras_image(), tmp_path / "like.nii.gz"))
    with pytest.raises(ValueError, match="shape"):
        write_volume(tmp_path / "out.nii.gz", np.zeros((2, 2, 2)), like)


@given(
    scale=st.floats(1e-6, 1e6),
    low=st.sampled_from([-1.0, 0.0]),
    seed=st.integers(0, 1000),
)
@settings(max_examples=30, deadline=None)
def test_int16_is_exact_within_half_a_step_and_keeps_zero(tmp_path_factory, scale, low, seed):
    folder = tmp_path_factory.mktemp("steps")
    like = read_volume(save(oriented("PSL"), folder / "in.nii"))
    data = (np.random.default_rng(seed).uniform(low, 1, like.shape) * scale).astype(np.float32)
    data[:2] = 0
    write_volume(folder / "out.nii.gz", data, like, np.int16)
    image = nib.load(folder / "out.nii.gz")
    assert image.get_data_dtype() == np.int16
    step = image.dataobj.slope
    assert step == pytest.approx(np.abs(data).max() / 32767)
    assert image.dataobj.inter == 0
    back = read_volume(folder / "out.nii.gz").data
    held = nib.as_closest_canonical(image).get_fdata()
    assert np.abs(held - data.astype(float)).max() <= step * 0.5000001
    assert np.array_equal(back, held.astype(np.float32))
    assert (back[:2] == 0).all()


def test_int16_of_nothing(tmp_path):
    like = read_volume(save(ras_image(), tmp_path / "in.nii.gz"))
    write_volume(tmp_path / "out.nii.gz", np.zeros(like.shape, np.float32), like, np.int16)
    assert not nib.load(tmp_path / "out.nii.gz").get_fdata().any()


@pytest.mark.parametrize("kind", ["u1", "i1", "<u2", ">i2", ">u2", "<i4", ">f4", "<f8", ">f8", "<i8", "<u4"])
@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz", "a.hdr"])
def test_every_kind_of_number_in_either_order_of_bytes(tmp_path, kind, name):
    data = np.random.default_rng(0).integers(0, 100, (7, 6, 5)).astype(kind)
    order = nib.volumeutils.native_code if kind[0] not in "<>" else kind[0]
    kind_of_file = nib.Nifti1Pair if name.endswith(".hdr") else nib.Nifti1Image
    header = kind_of_file.header_class(endianness=order)
    header.set_data_dtype(np.dtype(kind))
    image = kind_of_file(data, np.diag([0.5, 0.6, 2, 1]), header)
    image.header.set_slope_inter(0.5, -3)
    nib.save(image, tmp_path / name)
    assert nib.load(tmp_path / name).header.endianness == order
    np.testing.assert_allclose(read_volume(tmp_path / name).data, data.astype(float) * 0.5 - 3)


@pytest.mark.parametrize(("qform", "sform"), [(0, 1), (1, 0), (2, 4), (5, 5), (3, 0)])
def test_codes_are_kept(tmp_path, qform, sform):
    image = ras_image()
    image.set_qform(image.affine, code=qform)
    image.set_sform(image.affine, code=sform)
    volume = read_volume(save(image, tmp_path / "in.nii.gz"))
    assert not volume.notes
    np.testing.assert_allclose(volume.affine, ras_image().affine, atol=1e-5)
    write_volume(tmp_path / "out.nii.gz", volume.data, volume)
    header = nib.load(tmp_path / "out.nii.gz").header
    assert (int(header["qform_code"]), int(header["sform_code"])) == (qform, sform)


def test_codes_that_do_not_exist_are_noted(tmp_path):
    path = save(ras_image(), tmp_path / "in.nii")
    content = bytearray(path.read_bytes())
    content[252:256] = np.array([7, 99], "<i2").tobytes()
    path.write_bytes(content)
    volume = read_volume(path)
    assert "no orientation" in volume.notes[0]
    write_volume(tmp_path / "out.nii", volume.data, volume)
    np.testing.assert_allclose(nib.load(tmp_path / "out.nii").affine, volume.file_affine, atol=1e-5)


def test_sheared_and_tilted_grids_are_written_back(tmp_path):
    """The sform can hold what a quaternion cannot."""
    affine = np.array([[0.5, 0.05, 0, -30], [0, 0.6, 0.3, 12], [0.02, 0, 2, 4], [0, 0, 0, 1]])
    image = nib.Nifti1Image(ras_image().get_fdata().astype(np.float32), affine)
    volume = read_volume(save(image, tmp_path / "in.nii"))
    write_volume(tmp_path / "out.nii", volume.data, volume)
    np.testing.assert_allclose(nib.load(tmp_path / "out.nii").affine, affine, atol=1e-5)
