"""The bytes of a NIfTI file: checksums, headers that claim what cannot be, files shorter and longer than they say."""

from __future__ import annotations

import gzip
import os
import struct
import tracemalloc
import warnings

import nibabel as nib
import numpy as np
import pytest

from cmb_toolkit.errors import DataError, MissingError
from cmb_toolkit.io.nifti import read_grid, read_mask, read_volume

AFFINE = np.diag([1, 1, 2, 1.0])
DATA = np.random.default_rng(0).normal(0, 1, (12, 10, 8)).astype(np.float32)
READERS = [read_grid, read_volume]


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    """The bytes of a sound file."""
    path = tmp_path_factory.mktemp("plain") / "a.nii"
    nib.save(nib.Nifti1Image(DATA, AFFINE), path)
    return path.read_bytes()


def write(folder, content, name="a.nii.gz"):
    path = folder / name
    path.write_bytes(content)
    return path


def changed(content, place, form, *values):
    """The same bytes but for these at one place."""
    result = bytearray(content)
    struct.pack_into(form, result, place, *values)
    return bytes(result)


# -- compressed files -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda packed: packed[:-5] + b"\1" + packed[-4:], "CRC check failed"),
        (lambda packed: packed[:-1] + b"\1", "Incorrect length"),
        (lambda packed: packed[:-8], "Compressed file ended"),
        (lambda packed: packed[:-3], "Compressed file ended"),
        (lambda packed: packed[:1000] + bytes([packed[1000] ^ 64]) + packed[1001:], "CRC check failed"),
        (lambda packed: packed + b"something else", "Not a gzipped file"),
    ],
)
def test_a_checksum_that_does_not_hold(tmp_path, plain, change, said):
    path = write(tmp_path, change(gzip.compress(plain, 0)))  # stored blocks: every flip can be decompressed
    with pytest.raises(DataError, match=rf"a\.nii\.gz: damaged or cut short \({said}"):
        read_volume(path)
    with pytest.raises(DataError, match=said):
        read_mask(path, read_volume(write(tmp_path, plain, "like.nii")))


@pytest.mark.parametrize("level", [0, 6])
def test_the_checksum_of_a_file_with_several_volumes_covers_those_that_are_not_wanted(tmp_path, plain, level):
    nib.save(nib.Nifti1Image(np.stack([DATA, DATA + 1, DATA + 2], 3), AFFINE), tmp_path / "a.nii")
    packed = gzip.compress((tmp_path / "a.nii").read_bytes(), level)
    for echo in (1, 2, 3):
        np.testing.assert_allclose(read_volume(write(tmp_path, packed), echo=echo).data, DATA + echo - 1, atol=1e-6)
        with pytest.raises(DataError, match="CRC check failed"):
            read_volume(write(tmp_path, packed[:-6] + b"\1" + packed[-5:]), echo=echo)


def test_a_file_without_its_last_volumes(tmp_path):
    nib.save(nib.Nifti1Image(np.stack([DATA, DATA + 1], 3), AFFINE), tmp_path / "a.nii")
    short = (tmp_path / "a.nii").read_bytes()[:-100]
    for path in (write(tmp_path, short, "b.nii"), write(tmp_path, gzip.compress(short), "b.nii.gz")):
        with pytest.raises(DataError, match=r"damaged or cut short \(its header claims"):
            read_volume(path, echo=1)


def test_several_members_and_zeros_behind_the_last_are_legal(tmp_path, plain):
    for packed in (gzip.compress(plain[:1500]) + gzip.compress(plain[1500:]), gzip.compress(plain) + bytes(512)):
        volume = read_volume(write(tmp_path, packed))
        np.testing.assert_array_equal(volume.data, DATA)
        assert volume.notes == ()


def test_names_that_do_not_say_whether_a_file_is_compressed(tmp_path, plain):
    with pytest.raises(DataError, match=r"a\.nii\.gz: is not compressed, though its name says so"):
        read_grid(write(tmp_path, plain))
    with pytest.raises(DataError, match=r"a\.nii: is compressed, and its name does not say so"):
        read_grid(write(tmp_path, gzip.compress(plain), "a.nii"))


# -- sizes ------------------------------------------------------------------------------------------------------


def test_files_longer_than_their_header_says_are_noted(tmp_path, plain):
    for path in (write(tmp_path, plain + b"more", "b.nii"), write(tmp_path, gzip.compress(plain + b"more"))):
        volume = read_volume(path)
        np.testing.assert_array_equal(volume.data, DATA)
        assert volume.notes == ("it holds 4 bytes more than its header says, which were left out",)


def test_what_goes_on_without_end_is_not_read_to_its_end(tmp_path, plain):
    path = write(tmp_path, gzip.compress(plain + bytes(4_000_000), 1))
    with pytest.raises(DataError, match="more than twice the 4,192 bytes that its header claims"):
        read_volume(path)


@pytest.mark.parametrize("read", READERS)
@pytest.mark.parametrize("shape", [(3, 30000, 30000, 30000), (4, 1000, 1000, 60, 4)])
def test_claims_that_the_file_cannot_bear_out(tmp_path, plain, read, shape):
    content = changed(plain, 40, f"<{len(shape)}h", *shape)
    for path in (write(tmp_path, content, "b.nii"), write(tmp_path, gzip.compress(content))):
        tracemalloc.start()
        with pytest.raises(
            DataError, match=r"damaged or cut short \(its header claims .* bytes, and its .* hold fewer"
        ):
            read(path)
        assert tracemalloc.get_traced_memory()[1] < 10_000_000
        tracemalloc.stop()


def test_memory_grows_with_what_is_there(tmp_path, plain):
    """A file that compression might explain, of which most is missing."""
    content = changed(plain, 40, "<4h", 3, 512, 512, 200)
    path = write(tmp_path, gzip.compress(content + np.random.default_rng(0).bytes(400_000), 1))
    tracemalloc.start()
    with pytest.raises(DataError, match="its header claims 209,715,552 bytes, and it holds fewer"):
        read_volume(path)
    assert tracemalloc.get_traced_memory()[1] < 10_000_000
    tracemalloc.stop()


def test_more_voxels_than_any_head_has(tmp_path, plain):
    with (tmp_path / "a.nii").open("wb") as stream:  # sparse: takes no room on the disk
        stream.write(changed(changed(plain, 40, "<4h", 3, 2000, 2000, 200), 70, "<2h", 2, 8))
        stream.truncate(352 + 2000 * 2000 * 200)
    with pytest.raises(DataError, match="2000 x 2000 x 200 voxels, more than any scan of a head"):
        read_volume(tmp_path / "a.nii")


# -- headers ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("read", READERS)
@pytest.mark.parametrize(
    ("place", "form", "values", "said"),
    [
        (40, "<4h", (3, -12, 10, 8), "3 axes of -12 x 10 x 8 voxels, which cannot be"),
        (40, "<h", (9,), "9 axes"),
        (40, "<h", (-1,), "-1 axes"),
        (70, "<h", (99,), "the kind of number as 99, which is none"),
        (70, "<2h", (0, 0), "the kind of number as 0"),
        (72, "<h", (16,), r"values of 16 bits, but of a kind \(float32\) that has 32"),
        (108, "<f", (float("inf"),), "begin at byte inf"),
        (108, "<f", (float("nan"),), "begin at byte nan"),
        (108, "<f", (-352.0,), "begin at byte -352"),
        (108, "<f", (0.0,), "expected a whole number from 352"),
        (108, "<f", (352.5,), "expected a whole number from 352"),
        (108, "<f", (1e9,), "its header claims 1,000,003,840 bytes"),
        (112, "<f", (float("nan"),), "scales values by nan"),
        (112, "<2f", (1.0, float("inf")), "scales values by 1 and adds inf"),
        (252, "<2h3f", (1, 0, 5.0, 5.0, 5.0), "no usable geometry"),
        (252, "<2h3f", (1, 0, float("nan"), 0.0, 0.0), "no usable geometry"),
        (280, "<f", (float("nan"),), "no usable geometry"),
        (280, "<f", (3e38,), r"voxels of 3e\+38 x 1 x 2 mm cannot be"),
        (344, "<4s", (b"ni1\0",), "its values are in another file, its name does not"),
        (344, "<4s", (b"abcd",), "not a NIfTI file"),
    ],
)
def test_headers_that_cannot_be(tmp_path, plain, read, place, form, values, said):
    content = changed(plain, place, form, *values)
    for path in (write(tmp_path, content, "b.nii"), write(tmp_path, gzip.compress(content))):
        with pytest.raises(DataError, match=said) as caught:
            read(path)
        assert len(str(caught.value).splitlines()) == 1


def test_a_bad_qform_beside_a_sform_is_noted(tmp_path, plain):
    content = changed(plain, 252, "<2h3f", 1, 1, 5.0, 5.0, 5.0)
    assert read_volume(write(tmp_path, content, "a.nii")).notes == ("its qform is none; the sform was taken",)


def test_the_second_version_of_the_format(tmp_path):
    for name in ("a.nii", "a.nii.gz"):
        nib.save(nib.Nifti2Image(DATA, AFFINE), tmp_path / name)
        np.testing.assert_array_equal(read_volume(tmp_path / name).data, DATA)


def test_numbers_too_large_to_square_are_refused_without_a_remark(tmp_path):
    nib.save(nib.Nifti2Image(DATA, AFFINE), tmp_path / "a.nii")
    content = changed((tmp_path / "a.nii").read_bytes(), 400, "<d", 1e300)  # the first entry of the sform
    path = write(tmp_path, content, "b.nii")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for read in READERS:
            with pytest.raises(DataError, match="no usable geometry"):
                read(path)


def test_a_pair_without_one_of_its_files(tmp_path):
    nib.save(nib.Nifti1Pair(DATA, AFFINE), tmp_path / "a.hdr")
    np.testing.assert_array_equal(read_volume(tmp_path / "a.img").data, DATA)
    (tmp_path / "a.img").rename(tmp_path / "b.img")
    for name, missing in (("a.hdr", "a.img"), ("b.img", "b.hdr")):
        with pytest.raises(MissingError, match=rf"{missing}: not found"):
            read_volume(tmp_path / name)


def test_values_of_a_pair_may_begin_like_a_compressed_file(tmp_path):
    data = np.full((4, 4, 4), 7, np.int16)
    data[0, 0, 0] = int.from_bytes(b"\x1f\x8b", "little", signed=True)
    nib.save(nib.Nifti1Pair(data, AFFINE), tmp_path / "a.hdr")
    assert (tmp_path / "a.img").read_bytes().startswith(b"\x1f\x8b")
    np.testing.assert_array_equal(read_volume(tmp_path / "a.hdr").data, data)


def test_what_is_no_regular_file(tmp_path):
    os.mkfifo(tmp_path / "a.nii")
    with pytest.raises(MissingError, match="is no regular file"):
        read_volume(tmp_path / "a.nii")
