"""Scans as DICOM of several vendors, of known values: a file a slice, or one object with all frames.

All take a folder, made if need be, magnitude (arbitrary units, 0 to 4) and phase [rad] as (i, j, k) arrays, and the
affine of their voxels to world coordinates [mm, RAS]. Further keywords stand in every file.
"""

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import EnhancedMRImageStorage, ExplicitVRLittleEndian, MRImageStorage, generate_uid

MAGNITUDE, PHASE = 2, 3
"""Numbers of the series, where a vendor has two."""

_PHILIPS_STEP = 2000 * np.pi / 4095
"""Of the phase's 12 bits [mrad]."""


def siemens(folder, magnitude, phase, affine, *, first=0, series=None, **tags):
    """Magnitude and phase series; the phase is 12 bits that slope and intercept make -4096..4094.

    Other vendors whose ImageType says M and P (Canon, United Imaging) differ in `Manufacturer` alone, as far as
    dcm2niix looks.

    Parameters
    ----------
    first : int
        Added to the numbers of the series.
    series : str, optional
        Where several calls add to the same two series, as echoes do.
    """
    tags = _tags(tags, Manufacturer="SIEMENS", ManufacturerModelName="Prisma", ProtocolName="t2_swi3d_tra")
    said = {"ImageType": ["ORIGINAL", "PRIMARY", "M", "ND", "NORM"], "SeriesDescription": "Mag_Images"}
    _write(folder, _stored(1000 * magnitude), affine, first + MAGNITUDE, series, tags | said)
    said = {"ImageType": ["ORIGINAL", "PRIMARY", "P", "ND"], "SeriesDescription": "Pha_Images"}
    said |= {"RescaleSlope": 2, "RescaleIntercept": -4096, "RescaleType": "US"}
    twelve = np.rint((phase + np.pi) * 2048 / np.pi) % 4096
    _write(folder, _stored(twelve), affine, first + PHASE, series, tags | said)


def philips(folder, magnitude, phase, affine, **tags):
    """One series that holds both, one after the other; what is displayed is in mrad, what was measured in rad."""
    tags = _tags(tags, Manufacturer="Philips Medical Systems", ManufacturerModelName="Ingenia Elition X")
    tags = {"SeriesDescription": "3D_FFE", **tags}
    said = {"ImageType": ["ORIGINAL", "PRIMARY", "M_FFE", "M", "FFE"], "RescaleSlope": 2, "RescaleIntercept": 0}
    _write(folder, _stored(1000 * magnitude), affine, 701, "both", tags | said, private=_philips(0.5))
    said = {"ImageType": ["ORIGINAL", "PRIMARY", "PHASE MAP", "P", "FFE"]}
    said |= {"RescaleSlope": _PHILIPS_STEP, "RescaleIntercept": -1000 * np.pi}
    stored, after = _stored((1000 * phase + 1000 * np.pi) / _PHILIPS_STEP), magnitude.shape[2]
    private = _philips(1000 / _PHILIPS_STEP)
    _write(folder, stored, affine, 701, "both", tags | said, private=private, after=after)


def _philips(slope):
    """The slope to what was measured, which only private tags have."""

    def add(slice_):
        slice_.private_block(0x2005, "Philips MR Imaging DD 001", create=True).add_new(0x0E, "FL", slope)

    return add


def ge(folder, magnitude, phase, affine, **tags):
    """A magnitude that is the SWI (SWAN), and a phase in whole mrad; a private number says which is which."""
    tags = _tags(tags, Manufacturer="GE MEDICAL SYSTEMS", ManufacturerModelName="SIGNA Premier")
    tags |= {"ImageType": ["ORIGINAL", "PRIMARY", "OTHER"]}
    said = {"SeriesDescription": "Ax SWAN"}
    _write(folder, _stored(1000 * magnitude), affine, 6, None, tags | said, private=_ge(0))
    said = {"SeriesDescription": "FILT_PHA: Ax SWAN"}
    _write(folder, np.rint(1000 * phase), affine, 7, None, tags | said, private=_ge(1))


def ge_complex(folder, magnitude, phase, affine, *, alternating=False, **tags):
    """One series of magnitude, real and imaginary part; in some versions their sign alternates from slice to slice."""
    tags = _tags(tags, Manufacturer="GE MEDICAL SYSTEMS", ManufacturerModelName="DISCOVERY MR750")
    tags |= {"ImageType": ["ORIGINAL", "PRIMARY", "OTHER"], "SeriesDescription": "Ax 3D GRE"}
    signal = 1000 * magnitude * np.exp(1j * phase)
    if alternating:
        signal[:, :, 1::2] *= -1
    slices = magnitude.shape[2]
    for number, (kind, values) in enumerate(((0, np.abs(signal)), (2, signal.real), (3, signal.imag))):
        _write(folder, np.rint(values), affine, 8, "all", tags, private=_ge(kind), after=number * slices)


def _ge(kind):
    """0 magnitude, 1 phase, 2 real, 3 imaginary."""

    def add(slice_):
        slice_.private_block(0x0043, "GEMS_PARM_01", create=True).add_new(0x2F, "SS", kind)

    return add


def philips_enhanced(folder, magnitude, phase, affine, **tags):
    """One object that holds both; each frame states its own voxels and directions, alike as they are."""
    tags = _tags(tags, Manufacturer="Philips Medical Systems", ManufacturerModelName="Ingenia Elition X")
    time = float(tags.pop("EchoTime"))
    stored = {
        "M": (_stored(1000 * magnitude), 2.0, 0.0),
        "P": (_stored((1000 * phase + 1000 * np.pi) / _PHILIPS_STEP), _PHILIPS_STEP, -1000 * np.pi),
    }
    shape = magnitude.shape
    out = _image(shape, affine, 0)
    for name in (
        "ImageOrientationPatient",
        "ImagePositionPatient",
        "PixelSpacing",
        "SliceThickness",
        "ScanningSequence",
    ):
        delattr(out, name)
    out.file_meta.MediaStorageSOPClassUID = out.SOPClassUID = EnhancedMRImageStorage
    for tag, value in tags.items():
        setattr(out, tag, value)
    out.ImageType, out.SeriesDescription, out.SeriesNumber = ["ORIGINAL", "PRIMARY", "T2", "MIXED"], "3D_FFE", 801
    out.SeriesInstanceUID, out.PixelPresentation, out.VolumetricProperties = generate_uid(), "MONOCHROME", "VOLUME"
    out.VolumeBasedCalculationTechnique, out.ComplexImageComponent, out.AcquisitionContrast = "NONE", "MIXED", "T2"
    out.AcquisitionDateTime, out.BurnedInAnnotation, out.LossyImageCompression = "20260102101500", "NO", "00"
    out.PresentationLUTShape, out.ContentQualification, out.NumberOfFrames = "IDENTITY", "PRODUCT", 2 * shape[2]
    first = _image(shape, affine, 0)
    shared = Dataset()
    shared.MRTimingAndRelatedParametersSequence = [_dataset(RepetitionTime=28.0, FlipAngle=15.0, EchoTrainLength=1)]
    out.SharedFunctionalGroupsSequence = Sequence([shared])
    organization = generate_uid()
    out.DimensionOrganizationSequence = [_dataset(DimensionOrganizationUID=organization)]
    pointers = ((0x00209056, 0x00209111), (0x00209057, 0x00209111), (0x00089208, 0x00189226))
    out.DimensionIndexSequence = [
        _dataset(DimensionOrganizationUID=organization, DimensionIndexPointer=at, FunctionalGroupPointer=group)
        for at, group in pointers
    ]
    frames = []
    for number, (kind, (_, slope, intercept)) in enumerate(stored.items(), 1):
        for k in range(shape[2]):
            frame = Dataset()
            place = {"StackID": "1", "InStackPositionNumber": k + 1, "DimensionIndexValues": [1, k + 1, number]}
            acquired = {"FrameAcquisitionDateTime": "20260102101500", "FrameAcquisitionDuration": 1000.0}
            acquired |= {"FrameReferenceDateTime": "20260102101500", "TemporalPositionIndex": 1}
            frame.FrameContentSequence = [_dataset(**place, **acquired)]
            frame.PlanePositionSequence = [_item(_image(shape, affine, k), "ImagePositionPatient")]
            words = ["ORIGINAL", "PRIMARY", "M_FFE" if kind == "M" else "PHASE MAP", kind]
            component = {"M": "MAGNITUDE", "P": "PHASE"}[kind]
            frame.MRImageFrameTypeSequence = [
                _dataset(
                    FrameType=words,
                    PixelPresentation="MONOCHROME",
                    VolumetricProperties="VOLUME",
                    VolumeBasedCalculationTechnique="NONE",
                    ComplexImageComponent=component,
                    AcquisitionContrast="T2",
                )
            ]
            frame.PixelMeasuresSequence = [_item(first, "PixelSpacing", "SliceThickness", "SpacingBetweenSlices")]
            frame.PlaneOrientationSequence = [_item(first, "ImageOrientationPatient")]
            frame.MREchoSequence = [_dataset(EffectiveEchoTime=time)]
            frame.PixelValueTransformationSequence = [
                _dataset(RescaleSlope=slope, RescaleIntercept=intercept, RescaleType="US")
            ]
            frame.FrameVOILUTSequence = [_dataset(WindowCenter=1000, WindowWidth=2000)]
            frames.append(frame)
    out.PerFrameFunctionalGroupsSequence = Sequence(frames)
    volumes = [values for values, _, _ in stored.values()]
    out.PixelData = b"".join(_bytes(values[:, :, k]) for values in volumes for k in range(shape[2]))
    folder.mkdir(parents=True, exist_ok=True)
    out.save_as(folder / "801.dcm", enforce_file_format=True)


def _tags(given, **own):
    """What stands in every file of a scan: who and when, and what was given."""
    when = {f"{what}Date": "20260102" for what in ("Study", "Series", "Acquisition", "Content")}
    when |= {f"{what}Time": "101500" for what in ("Study", "Series", "Acquisition", "Content")}
    who = {"PatientName": "Planted^Name", "PatientID": "007", "PatientBirthDate": "19400401", "PatientSex": "O"}
    who |= {"AccessionNumber": "", "StudyID": "1", "ReferringPhysicianName": ""}
    uids = {"StudyInstanceUID": generate_uid(), "FrameOfReferenceUID": generate_uid()}
    return {**when, **who, **uids, "EchoTime": 20.0, **own, **given}


def _stored(values):
    """As 12 bits."""
    return np.clip(np.rint(values), 0, 4095)


def _write(folder, voxels, affine, number, series, tags, *, private=None, after=0):
    """A file a slice; `after` how many instances the series has already."""
    folder.mkdir(parents=True, exist_ok=True)
    entropy = [series, tags["StudyInstanceUID"], str(number)] if series else None
    uid = generate_uid(entropy_srcs=entropy)
    for k in range(voxels.shape[2]):
        slice_ = _image(voxels.shape, affine, k)
        slice_.SeriesInstanceUID, slice_.SeriesNumber, slice_.InstanceNumber = uid, number, after + k + 1
        slice_.PixelData = _bytes(voxels[:, :, k])
        if voxels.min() < 0:
            slice_.PixelRepresentation, slice_.BitsStored, slice_.HighBit = 1, 16, 15
        for tag, value in tags.items():
            setattr(slice_, tag, value)
        if private:
            private(slice_)
        path = folder / f"{number}_{float(tags['EchoTime']):g}_{after + k + 1:04d}.dcm"
        slice_.save_as(path, enforce_file_format=True)


def _bytes(plane):
    """Rows are the second axis of the volume."""
    return plane.astype("<i2").T.tobytes()


def _image(shape, affine, k):
    """An image of one slice without its pixels."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = MRImageStorage, generate_uid()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    out = Dataset()
    out.file_meta = meta
    out.SOPClassUID, out.SOPInstanceUID = MRImageStorage, meta.MediaStorageSOPInstanceUID
    out.Modality, out.MagneticFieldStrength, out.MRAcquisitionType, out.ScanningSequence = "MR", 3, "3D", "GR"
    out.SequenceVariant, out.RepetitionTime, out.FlipAngle, out.InstanceNumber = "SP", 28, 15, k + 1
    out.AcquisitionNumber, out.EchoNumbers, out.PatientPosition, out.SoftwareVersions = 1, 1, "HFS", "1.0"
    to_lps = np.diag([-1.0, -1.0, 1.0, 1.0]) @ affine
    sides = np.linalg.norm(to_lps[:3, :3], axis=0)
    out.ImageOrientationPatient = _decimals(*(to_lps[:3, 0] / sides[0]), *(to_lps[:3, 1] / sides[1]))
    out.ImagePositionPatient = _decimals(*(to_lps[:3] @ (0, 0, k, 1)))
    out.PixelSpacing = _decimals(sides[1], sides[0])
    out.SliceThickness, out.SpacingBetweenSlices = _decimals(sides[2], sides[2])
    out.Columns, out.Rows = shape[:2]
    out.SamplesPerPixel, out.PhotometricInterpretation, out.PixelRepresentation = 1, "MONOCHROME2", 0
    out.BitsAllocated, out.BitsStored, out.HighBit = 16, 12, 11
    return out


def _decimals(*values):
    """Numbers in the 16 characters that the format has for them."""
    return [float(f"{value:.10g}"[:16]) for value in values]


def _dataset(**elements):
    out = Dataset()
    for name, value in elements.items():
        setattr(out, name, value)
    return out


def _item(source, *names):
    return _dataset(**{name: source[name].value for name in names})
