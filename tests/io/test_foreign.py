"""A file of another kind is named by what it is, with what to do."""

import gzip
import struct

import pytest

from cmb_toolkit.errors import CmbError, DataError
from cmb_toolkit.io.foreign import describe_folder
from cmb_toolkit.io.nifti import read_grid, read_volume

ANALYZE = struct.pack("<i", 348) + bytes(344)
DICOM = bytes(128) + b"DICM" + bytes(400)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("scan.PAR", b"# PAR", "a Philips PAR header. Convert it with `dcm2niix"),
        ("scan.par", b"# === DATA DESCRIPTION FILE ======\n# Research image export tool     V9.9", "a Philips PAR"),
        ("scan.rec", bytes(500), "a Philips REC file"),
        ("IM0001", DICOM, "a DICOM file. Take its folder with `cmbtk import dicom`, or convert it with `dcm2niix -z y"),
        ("scan.nii", DICOM, "a DICOM file"),
        ("old.ima", b"\x08\0\x05\0CS" + bytes(400), "a DICOM file"),
        ("scan.mgz", b"x" * 400, "a FreeSurfer volume. Convert it with `mri_convert"),
        ("scan.hdr", ANALYZE, "an ANALYZE header. It does not say how the head lies"),
        ("scan.mat", b"MATLAB 5.0 MAT-file" + bytes(400), "a MATLAB file"),
        ("phase.mat", b"\x89HDF\r\n\x1a\n" + bytes(400), "an HDF5 file"),
        ("scan.nii", b"\x89PNG\r\n\x1a\n" + bytes(400), "a picture"),
        ("scan.nii", b"version https://git-lfs.github.com/spec/v1\n", "a pointer of Git LFS"),
        ("scan.nii.gz", b"version https://git-lfs.github.com/spec/v1\n", "a pointer of Git LFS"),
        ("scan.nii.gz", gzip.compress(DICOM, mtime=0), "a DICOM file"),
        ("scan.nii", b"\n<!DOCTYPE HTML><html>404</html>", "a web page"),
        ("scan.nii", b"", "an empty one"),
        ("scan.npy", b"\x93NUMPY" + bytes(400), "a numpy array"),
        ("scan.nrrd", b"NRRD0004" + bytes(400), "an NRRD file"),
        ("scan", bytes(range(200)) * 3, "not a NIfTI file. Convert the scan"),
    ],
)
def test_foreign_files_are_named(tmp_path, name, content, said):
    (tmp_path / name).write_bytes(content)
    for read in (read_volume, read_grid):
        with pytest.raises(DataError) as caught:
            read(tmp_path / name)
        assert said in str(caught.value)
        assert str(caught.value).startswith(str(tmp_path / name))
        assert "\n" not in str(caught.value)


def test_a_folder_of_dicom_files(tmp_path):
    assert "is a folder, not a file" in describe_folder(tmp_path)
    (tmp_path / ".DS_Store").write_bytes(b"x")
    (tmp_path / "IM0001").write_bytes(DICOM)
    assert "a folder of DICOM files" in describe_folder(tmp_path)
    with pytest.raises(CmbError, match=r"is a folder of DICOM files.*dcm2niix"):
        read_volume(tmp_path)
