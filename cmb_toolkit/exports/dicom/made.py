"""What the objects on one scan have in common: whose they are, what they refer to, who made them, and their UIDs."""

from __future__ import annotations

import uuid
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ... import __version__
from ...errors import DataError
from ...io.dicom_frames import header
from .source import Source

if TYPE_CHECKING:
    import pandas as pd
    from pydicom.dataset import Dataset

__all__ = ["MAKER", "Made"]

MAKER = "cmb_toolkit"

_MAY_BE_EMPTY = (
    "PatientID",
    "PatientName",
    "PatientBirthDate",
    "PatientSex",
    "StudyID",
    "StudyDate",
    "StudyTime",
    "AccessionNumber",
    "ReferringPhysicianName",
)
"""What the standard wants in every object, if only empty; files that were made anonymous lack it."""


@dataclass(frozen=True)
class Made:
    """A scan that was looked at.

    Attributes
    ----------
    source : Source
        The frames that it was made of.
    findings : DataFrame
        :data:`cmb_toolkit.schema.LESIONS`, those that were kept.
    summary : mapping
        What ``summary.json`` says.
    identity : str
        Digest of the result: other objects of the same result have the same UIDs, so that nothing is stored twice.
    """

    source: Source
    findings: pd.DataFrame
    summary: dict[str, Any]
    identity: str

    @cached_property
    def images(self) -> list[Dataset]:
        """The headers of the instances that hold the frames, in their order; of a file with others besides, of these.

        Raises
        ------
        DataError
            If they lack what objects that refer to them need.
        """
        images = {path: header(path) for path in dict.fromkeys(frame.path for frame in self.source.frames)}
        for path, image in images.items():
            for name in ("StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID"):
                if not image.get(name):
                    raise DataError(
                        f"{path}: has no {name}, to which SEG and SR refer. Take the series as the scanner made it."
                    )
            for name in _MAY_BE_EMPTY:
                if name not in image:
                    setattr(image, name, "")
            for element in [element for element in image if element.VR == "SQ" and not element.value]:
                del image[element.tag]  # some scanners write sequences of nothing, which may not be handed on
            if not isinstance(image.get("SpecificCharacterSet", ""), str):
                image.decode()  # names in several scripts; what is made of them is in Unicode
                image.SpecificCharacterSet = "ISO_IR 192"
            if self.source.series.many:
                _keep_frames(image, [frame.number for frame in self.source.frames])
        return list(images.values())

    @property
    def model(self) -> str:
        """Name and version of the model."""
        return str(self.summary["model"])

    @property
    def settings(self) -> list[str]:
        """How it was looked for, in words."""
        return [
            f"model: {self.model}",
            f"learned from: {self.summary['learned_from']} scans",
            f"operating point: {self.summary['operating']}, score >= {self.summary['threshold']:.4g}",
        ]

    def uid(self, *what: object) -> str:
        """A UID of something of this result: the same whenever it is asked for."""
        return _uid(self.images[0].SeriesInstanceUID, self.identity, __version__, *what)

    @property
    def device(self) -> str:
        """The UID of who observed: this version of the toolkit with this model."""
        return _uid(MAKER, __version__, self.model)

    def tracking(self, finding: int) -> tuple[str, str]:
        """What a finding is called, and its UID."""
        return f"microbleed {finding}", self.uid("finding", finding)

    def series(self, what: str, number: int) -> dict[str, Any]:
        """What an object of its own series is made with.

        Parameters
        ----------
        what : str
            For the series' description.
        number : int
            Added to a hundred times the number of the series that was looked at.
        """
        return {
            "series_instance_uid": self.uid(what, "series"),
            "series_number": 100 * self.source.series.number + number,
            "series_description": f"{MAKER} {what}",
            "sop_instance_uid": self.uid(what),
            "instance_number": 1,
            "manufacturer": MAKER,
            "manufacturer_model_name": MAKER,
            "software_versions": __version__,
            "device_serial_number": __version__,
        }

    def built(self, what: str, build: Callable[[], Dataset]) -> Dataset:
        """Build an object, and say whose files do not allow it.

        Raises
        ------
        DataError
        """
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # how a name is spelled is the scanner's affair
                return build()
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise DataError(
                f"{self._folder}: series {self.source.series.number} lacks what a {what} that refers to it needs "
                f"({str(error)[:200]}). Take the series as the scanner made it."
            ) from error

    @property
    def _folder(self) -> Path:
        return self.source.frames[0].path.parent


def _keep_frames(image: Dataset, numbers: list[int]) -> None:
    """Leave of an image's header some of its frames; what all of these have in common is said once."""
    every, shared = image.PerFrameFunctionalGroupsSequence, image.SharedFunctionalGroupsSequence[0]
    image.PerFrameFunctionalGroupsSequence = [every[number] for number in numbers]
    image.NumberOfFrames = len(numbers)
    for group in ("PixelMeasuresSequence", "PlaneOrientationSequence"):
        if group not in shared:
            setattr(shared, group, getattr(every[numbers[0]], group))


def _uid(*what: object) -> str:
    """A UID that is the same for the same, and no other's."""
    return f"2.25.{uuid.uuid5(uuid.NAMESPACE_OID, chr(10).join(map(str, what))).int}"
