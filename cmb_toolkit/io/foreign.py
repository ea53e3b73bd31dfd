"""What a file is that should be a NIfTI volume and is none, and what to do with it: by its first bytes, or its name."""

from __future__ import annotations

import re
from itertools import islice
from pathlib import Path

__all__ = ["describe_file", "describe_folder"]

_CONVERT = "Convert the scan with a converter such as dcm2niix."
_DICOM = "Take its folder with `cmbtk import dicom`, or convert it with `dcm2niix -z y -o OUT FOLDER`."
_PAR = "Convert it with `dcm2niix -z y -o OUT FILE.PAR`; the .REC must lie beside it."
_FREESURFER = "Convert it with `mri_convert FILE OUT.nii.gz`."
_SAVE_MATLAB = "Save its volume with MATLAB's niftiwrite, with the scan's own header."
_ANALYZE = "It does not say how the head lies in it; convert the scan again from its DICOM files."
_NOT_IN_IMAGE = "A picture has no voxel size; export the scan itself."
_AGAIN = "Fetch or export the file again."

_BEGINS: tuple[tuple[bytes, str, str], ...] = (
    (b"# === DATA DESCRIPTION FILE", "a Philips PAR header", _PAR),
    (b"MATLAB ", "a MATLAB file", _SAVE_MATLAB),
    (b"\x89HDF\r\n", "an HDF5 file (MATLAB 7.3 or MINC 2)", _CONVERT),
    (b"CDF\x01", "a MINC file", "Convert it with `mnc2nii FILE OUT.nii`."),
    (b"NRRD", "an NRRD file", "Convert it with 3D Slicer or ITK's tools."),
    (b"ObjectType", "a MetaImage header", "Convert it with 3D Slicer or ITK's tools."),
    (b"\x89PNG", "a picture (PNG)", _NOT_IN_IMAGE),
    (b"\xff\xd8\xff", "a picture (JPEG)", _NOT_IN_IMAGE),
    (b"II*\0", "a picture (TIFF)", _NOT_IN_IMAGE),
    (b"MM\0*", "a picture (TIFF)", _NOT_IN_IMAGE),
    (b"%PDF", "a PDF document", _AGAIN),
    (b"\x93NUMPY", "a numpy array", "Save it as NIfTI with nibabel, with the scan's affine."),
    (b"PK\x03\x04", "a ZIP archive (or an Office document)", "Unpack it."),
    (b"7z\xbc\xaf", "a 7z archive", "Unpack it."),
    (b"Rar!", "a RAR archive", "Unpack it."),
    (b"BZh", "a bzip2 file", "Unpack it; .nii and .nii.gz can be read."),
    (b"\xfd7zXZ", "an xz file", "Unpack it; .nii and .nii.gz can be read."),
    (b"\x28\xb5\x2f\xfd", "a zstd file", "Unpack it; .nii and .nii.gz can be read."),
    (b"version https://git-lfs", "a pointer of Git LFS, without the file itself", "Get it with `git lfs pull`."),
    (b"/annex/objects/", "a pointer of git-annex, without the file itself", "Get it with `git annex get FILE`."),
)
_ENDINGS: dict[str, tuple[str, str]] = {
    ".par": ("a Philips PAR header", _PAR),
    ".rec": ("a Philips REC file", _PAR),
    ".dcm": ("a DICOM file", _DICOM),
    ".ima": ("a DICOM file", _DICOM),
    ".mgh": ("a FreeSurfer volume", _FREESURFER),
    ".mgz": ("a FreeSurfer volume", _FREESURFER),
    ".mat": ("a MATLAB file", _SAVE_MATLAB),
    ".mnc": ("a MINC file", "Convert it with `mnc2nii FILE OUT.nii`."),
    ".head": ("an AFNI header", "Convert it with `3dAFNItoNIFTI FILE`."),
    ".brik": ("an AFNI volume", "Convert it with `3dAFNItoNIFTI FILE`."),
    ".hdr": ("an ANALYZE header", _ANALYZE),
    ".img": ("an ANALYZE volume", _ANALYZE),
}
_SCANNED = 50
"""Files of a folder that are looked at to say what it holds."""


def describe_file(path: Path, head: bytes) -> str:
    """Say in two sentences what a file is, beginning "not a NIfTI file", and what to do.

    Parameters
    ----------
    path : Path
        Of its name the ending counts, where its content tells nothing.
    head : bytes
        At least its first 132 bytes; of a compressed file, decompressed.
    """
    what, cure = _recognised(path, head)
    return f"not a NIfTI file{what and f', but {what}'}. {cure}"


def describe_folder(path: Path) -> str:
    """Say in two sentences what a folder is that was given for a file, and what to do."""
    files = (file for file in sorted(path.iterdir()) if file.is_file() and not file.name.startswith("."))
    for file in islice(files, _SCANNED):
        with file.open("rb") as stream:
            if _recognised(file, stream.read(132))[1] == _DICOM:
                return f"is a folder of DICOM files, not a NIfTI file. {_DICOM}"
    return "is a folder, not a file. Check the path; a NIfTI file (.nii or .nii.gz) is needed."


def _recognised(path: Path, head: bytes) -> tuple[str, str]:
    """What it is, empty if nobody knows, and what to do."""
    if not head:
        return "an empty one", _AGAIN
    if head[128:132] == b"DICM" or head[:4] in (b"\x08\0\0\0", b"\x08\0\x05\0", b"\x08\0\x08\0", b"\x02\0\0\0"):
        return "a DICOM file", _DICOM
    for begin, what, cure in _BEGINS:
        if head.startswith(begin):
            return what, cure
    if re.match(rb"\s*(<!doctype html|<html)", head, re.IGNORECASE):
        return "a web page (often what a server says in place of a file)", _AGAIN
    ending = Path(path.name.removesuffix(".gz")).suffix.lower()
    if ending in (".hdr", ".img") and head[:4] not in (b"\x5c\x01\0\0", b"\0\0\x01\x5c"):
        return "", _CONVERT
    return _ENDINGS.get(ending, ("", _CONVERT))
