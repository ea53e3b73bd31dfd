"""Network images of a study's subjects, made of their preprocessed volumes in memory, the same for all steps."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..darknet.images import Images, ahead
from ..errors import MissingError
from ..io.nifti import check_same_grid, read_mask, read_volume
from ..model import Frame
from ..slices import slice_stem
from ..stage1.composite import needs, network_images
from .cell import Setup
from .geometry import Geometry
from .layout import Study

__all__ = ["images_of", "images_of_subjects", "volumes_of"]


def volumes_of(study: Study, subject: str, input_name: str) -> dict[str, Path]:
    """The preprocessed volumes that an input is made of, and the mask.

    Raises
    ------
    MissingError
        If one of them is not there.
    """
    paths = {name: study.volume(subject, name) for name in needs(input_name)} | {"mask": study.mask(subject)}
    for path in paths.values():
        if not path.is_file():
            raise MissingError(f"{path}: not found. Run `cmbtk preprocess` on this study first.")
    return paths


def images_of(
    study: Study, subject: str, frame: Frame, *, input_name: str, scale: str, background: str
) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """All network images of a subject.

    Returns
    -------
    images : (k, row, column, 3) uint8 array
        RGB.
    mask : (i, j, k) bool array
        The brain.
    """
    paths = volumes_of(study, subject, input_name)
    swi = read_volume(paths["swi"], order="F")
    mask = read_mask(paths.pop("mask"), swi)
    volumes = {}
    for name, path in paths.items():
        volume = swi if name == "swi" else read_volume(path, order="F")
        check_same_grid(swi, volume)
        volumes[name] = volume.data
    return network_images(input_name, frame, volumes, mask, scale=scale, background=background), mask


def images_of_subjects(study: Study, setup: Setup, geometry: Mapping[str, Geometry]) -> Images:
    """The network images of a cell's subjects, equal to those that the cell is trained on.

    Each subject's are made when they are looked at, the next one's meanwhile, so that memory does not grow with the
    number of subjects.

    Parameters
    ----------
    study : Study
    setup : Setup
        Of the cell.
    geometry : mapping
        Subjects to look at -> theirs, in the order in which they are looked at.
    """

    def make() -> Iterator[NDArray[np.uint8]]:
        one = partial(images_of, study, input_name=setup.input, scale=setup.scale or "paper",
                      background=setup.background or "black")  # fmt: skip
        for images, _ in ahead(lambda subject: one(subject, geometry[subject].frame), list(geometry)):
            yield images

    names = [slice_stem(subject, k) for subject, one in geometry.items() for k in range(one.shape[2])]
    return Images(names, make)
