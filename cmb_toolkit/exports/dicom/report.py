"""A DICOM SR: the findings as a Measurement Report (TID 1500), each a point with its sizes and its probability.

It is preliminary and not verified: nobody has read it. Points are in the patient's coordinates of the series (LPS), so
that they lie on every series of the same frame of reference.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from ... import __version__
from ...schema import WORLD
from .codes import (
    ABNORMAL,
    BRAIN,
    DETECTED,
    DIAMETER,
    LIGHT,
    LIGHTS,
    MICROBLEED,
    MR_BRAIN,
    NOT_DETECTED,
    PROBABILITY,
    QUANTITY,
    SCORE,
    SIDES,
    VOLUME,
    coded,
    sites_of,
)
from .made import MAKER, Made

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

__all__ = ["measurement_report"]

_RAS_TO_LPS = (-1.0, -1.0, 1.0)


def measurement_report(made: Made) -> Dataset:
    """An SR of all findings, and of none.

    Its first group counts them, and says whether the scan is like those that the model learned from; the others are a
    finding each, tracked by the same identifiers as its segment.

    Raises
    ------
    DataError
        If the series lacks what it needs.
    """
    import highdicom as hd
    from pydicom.sr.codedict import codes

    algorithm = hd.sr.AlgorithmIdentification(MAKER, __version__, made.settings)
    device = hd.sr.DeviceObserverIdentifyingAttributes(
        made.device, f"{MAKER} {__version__}", MAKER, made.model, __version__
    )
    observer = hd.sr.ObserverContext(codes.DCM.Device, device)
    groups = [_counted(made, algorithm), *(_finding(made, row, algorithm) for row in made.findings.to_dict("records"))]
    content = hd.sr.MeasurementReport(
        hd.sr.ObservationContext(observer_device_context=observer),
        coded(MR_BRAIN),
        groups,
        title=codes.DCM.ImagingMeasurementReport,
    )
    return made.built(
        "SR",
        lambda: hd.sr.Comprehensive3DSR(
            made.images,
            content[0],
            is_complete=True,
            is_final=False,
            is_verified=False,
            **made.series("microbleeds, report", 2),
        ),
    )


def _counted(made: Made, algorithm: Any) -> Any:
    """How many there are, and how far that is to be trusted."""
    import highdicom as hd

    count = len(made.findings)
    return hd.sr.MeasurementsAndQualitativeEvaluations(
        hd.sr.TrackingIdentifier(made.uid("all findings"), "all microbleeds"),
        finding_type=coded(MICROBLEED),
        finding_category=coded(ABNORMAL),
        finding_sites=[hd.sr.FindingSite(coded(BRAIN))],
        algorithm_id=algorithm,
        measurements=[hd.sr.Measurement(coded(QUANTITY), count, _unit("1"))],
        qualitative_evaluations=[
            hd.sr.QualitativeEvaluation(coded(MICROBLEED), coded(DETECTED if count else NOT_DETECTED)),
            hd.sr.QualitativeEvaluation(coded(LIGHT), coded(LIGHTS[made.summary["range"]])),
        ],
    )


def _finding(made: Made, row: Mapping[Any, Any], algorithm: Any) -> Any:
    """One finding."""
    import highdicom as hd

    called, uid = made.tracking(int(row["id"]))
    point = hd.sr.ImageRegion3D(
        hd.sr.GraphicTypeValues3D.POINT,
        np.array([[row[name] * sign for name, sign in zip(WORLD, _RAS_TO_LPS, strict=True)]], float),
        frame_of_reference_uid=made.images[0].FrameOfReferenceUID,
    )
    side = coded(SIDES[row["side"]]) if row.get("side") in SIDES else None
    probability = PROBABILITY if pd.notna(row["probability"]) else SCORE
    measured = [
        (DIAMETER, row["diameter_mm"], "mm"),
        (VOLUME, row["volume_mm3"], "mm3"),
        (probability, row["probability"] if probability is PROBABILITY else row["score"], "1"),
    ]
    return hd.sr.PlanarROIMeasurementsAndQualitativeEvaluations(
        hd.sr.TrackingIdentifier(uid, called),
        referenced_region=point,
        finding_type=coded(MICROBLEED),
        finding_category=coded(ABNORMAL),
        finding_sites=[hd.sr.FindingSite(coded(site), laterality=side) for site in sites_of(row)],
        algorithm_id=algorithm,
        measurements=[
            hd.sr.Measurement(coded(what), float(value), _unit(unit))
            for what, value, unit in measured
            if pd.notna(value)
        ],
    )


def _unit(value: str) -> Any:
    return coded((value, "UCUM", {"1": "no units", "mm": "mm", "mm3": "mm3"}[value]))
