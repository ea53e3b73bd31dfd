"""Scans as a Siemens scanner's DICOM: a magnitude series and a phase series, a file a slice, of known values."""

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage, generate_uid

MAGNITUDE, PHASE = 2, 3
"""Numbers of the series."""


def siemens(folder, magnitude, phase, affine, *, first=0, series=None, **tags):
    """Both series in one folder, as an export leaves them.

    Parameters
    ----------
    folder : Path
        Made if need be.
    magnitude, phase : (i, j, k) array
        Arbitrary units, and radians, which become 12 bits as the vendor's: -4096..4094 by slope and intercept.
    affine : (4, 4) array
        Voxel to world [mm, RAS].
    first : int
        Added to the numbers of the series.
    series : str, optional
        Where several calls add to the same two series, as echoes do.
    tags
        What else stands in every file.
    """
    folder.mkdir(parents=True, exist_ok=True)
    tags = {"PatientName": "Planted^Name", "PatientID": "007", "EchoTime": 20.0, **tags}
    tags.setdefault("StudyInstanceUID", generate_uid())
    frame = generate_uid()
    stored = {
        MAGNITUDE: ("Mag_Images", ["ORIGINAL", "PRIMARY", "M", "ND", "NORM"], np.rint(1000 * magnitude)),
        PHASE: ("Pha_Images", ["ORIGINAL", "PRIMARY", "P", "ND"], np.rint((phase + np.pi) * 2048 / np.pi) % 4096),
    }
    for number, (description, kind, voxels) in stored.items():
        uid = generate_uid(entropy_srcs=[series, tags["StudyInstanceUID"], description]) if series else generate_uid()
        for k in range(voxels.shape[2]):
            slice_ = _slice(voxels[:, :, k], affine, k)
            slice_.PatientBirthDate, slice_.SeriesInstanceUID, slice_.FrameOfReferenceUID = "19400401", uid, frame
            slice_.StudyDate = slice_.SeriesDate = slice_.AcquisitionDate = slice_.ContentDate = "20260102"
            slice_.StudyTime = slice_.AcquisitionTime = slice_.SeriesTime = slice_.ContentTime = "101500"
            slice_.SeriesNumber, slice_.SeriesDescription, slice_.ImageType = first + number, description, kind
            slice_.ProtocolName = "t2_swi3d_tra"
            if number == PHASE:
                slice_.RescaleSlope, slice_.RescaleIntercept, slice_.RescaleType = 2, -4096, "US"
            for tag, value in tags.items():
                setattr(slice_, tag, value)
            path = folder / f"{first + number}_{tags['EchoTime']:g}_{k + 1:04d}.dcm"
            slice_.save_as(path, enforce_file_format=True)


def _slice(plane, affine, k):
    """A file of one slice: its rows are the second axis of the volume."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = MRImageStorage, generate_uid()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    out = Dataset()
    out.file_meta = meta
    out.SOPClassUID, out.SOPInstanceUID = MRImageStorage, meta.MediaStorageSOPInstanceUID
    out.Modality, out.Manufacturer, out.ManufacturerModelName = "MR", "SIEMENS", "Prisma"
    out.MagneticFieldStrength, out.MRAcquisitionType, out.ScanningSequence = 3, "3D", "GR"
    out.SequenceVariant, out.RepetitionTime, out.FlipAngle, out.InstanceNumber = "SP", 28, 15, k + 1
    out.AcquisitionNumber, out.EchoNumbers, out.PatientPosition, out.SoftwareVersions = 1, 1, "HFS", "syngo MR E11"
    to_lps = np.diag([-1.0, -1.0, 1.0, 1.0]) @ affine
    sides = np.linalg.norm(to_lps[:3, :3], axis=0)
    out.ImageOrientationPatient = [*(to_lps[:3, 0] / sides[0]), *(to_lps[:3, 1] / sides[1])]
    out.ImagePositionPatient = list(to_lps[:3] @ (0, 0, k, 1))
    out.PixelSpacing, out.SliceThickness, out.SpacingBetweenSlices = [sides[1], sides[0]], sides[2], sides[2]
    out.Columns, out.Rows = plane.shape
    out.SamplesPerPixel, out.PhotometricInterpretation, out.PixelRepresentation = 1, "MONOCHROME2", 0
    out.BitsAllocated, out.BitsStored, out.HighBit = 16, 12, 11
    out.PixelData = np.clip(plane, 0, 4095).astype("<u2").T.tobytes()
    return out
