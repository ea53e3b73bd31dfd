"""A DICOM SEG: the findings' voxels on the frames of the series, a segment each with the finding's own number."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ... import __version__
from ...errors import DataError
from .codes import ABNORMAL, INTELLIGENCE, MICROBLEED, coded, sites_of
from .made import MAKER, Made
from .placing import MOST_OFF, placed

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

__all__ = ["planes_of", "segmentation"]


def planes_of(made: Made, labels: NDArray[np.integer], affine: NDArray[np.float64]) -> NDArray[np.uint16]:
    """The labels at the pixels of the frames, (frame, row, column).

    Parameters
    ----------
    made : Made
    labels : (i, j, k) array
        Of the findings.
    affine : (4, 4) array
        From its voxels to world coordinates [mm].

    Raises
    ------
    DataError
        If a frame does not lie on its voxels.
    """
    planes = []
    for frame in made.source.frames:
        lying = placed(frame.affine, frame.shape, affine, labels.shape)
        if lying.slice < 0 or lying.off > MOST_OFF:
            raise DataError(
                f"{frame.path}: its pixels do not lie on the voxels of the label map, within {MOST_OFF:g} of one. "
                "Look at the scan again with `cmbtk detect`."
            )
        planes.append(lying.of(labels).T)
    return np.stack(planes).astype(np.uint16)


def segmentation(made: Made, planes: NDArray[np.uint16], *, labelmap: bool = False) -> Dataset:
    """A SEG of findings, of which there must be one.

    Parameters
    ----------
    made : Made
    planes : (frame, row, column) array
        From :func:`planes_of`.
    labelmap : bool
        As one map of numbers (Supplement 243), which few programs read yet, in place of a bit map for each.

    Raises
    ------
    DataError
        If the series lacks what it needs.
    """
    import highdicom as hd
    from pydicom.uid import ExplicitVRLittleEndian, RLELossless

    algorithm = hd.AlgorithmIdentificationSequence(MAKER, coded(INTELLIGENCE), __version__)
    descriptions = []
    for finding in made.findings.to_dict("records"):
        called, uid = made.tracking(int(finding["id"]))
        descriptions.append(
            hd.seg.SegmentDescription(
                int(finding["id"]),
                called,
                coded(ABNORMAL),
                coded(MICROBLEED),
                hd.seg.SegmentAlgorithmTypeValues.AUTOMATIC,
                algorithm,
                tracking_uid=uid,
                tracking_id=called,
                anatomic_regions=[coded(site) for site in sites_of(finding)],
            )
        )
    made_of = made.built(
        "SEG",
        lambda: hd.seg.Segmentation(
            made.images,
            planes,
            "LABELMAP" if labelmap else "BINARY",
            descriptions,
            transfer_syntax_uid=RLELossless if labelmap else ExplicitVRLittleEndian,
            content_label="MICROBLEEDS",
            content_description=f"Microbleeds found by {made.model}"[:64],
            **made.series("microbleeds, label map" if labelmap else "microbleeds", 1),
        ),
    )
    if made.source.series.many:
        _name_frames(made_of, made)
    return made_of


def _name_frames(seg: Dataset, made: Made) -> None:
    """Refer to frames by their numbers in the file, not among those that were used."""
    for own in seg.PerFrameFunctionalGroupsSequence:
        for derivation in own.DerivationImageSequence:
            for image in derivation.SourceImageSequence:
                image.ReferencedFrameNumber = made.source.frames[int(image.ReferencedFrameNumber) - 1].number + 1
