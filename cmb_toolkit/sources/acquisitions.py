"""Images of one subject and session in a BIDS folder: which belong together, and which of several are meant."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from ..errors import CmbError, DataError, UsageError
from ..io.bids import echo_time_ms
from ..io.bids_files import BidsImage, Sidecars
from ..io.nifti import read_grid

__all__ = ["SUFFIXES", "Acquisition", "Echo", "acquisitions", "check_entities", "distinguished", "of_entities"]

SUFFIXES = ("T2starw", "T2star", "MEGRE", "GRE", "swi")
"""Last words of names that are looked at, in capitals or not."""

_PARTS = {"mag": "magnitude", "phase": "phase", "real": "real", "imag": "imaginary"}
_APART = ("sub", "ses", "part", "echo")
"""In what files of one acquisition may differ."""

_BEST_ECHO_MS = 20.0
_LONGEST_ECHO_MS = 1000.0
"""What is longer was not written in seconds."""


@dataclass(frozen=True)
class Echo:
    """The echo of an acquisition that is taken.

    Attributes
    ----------
    volumes : mapping of str to BidsImage
        magnitude, phase, swi, real, imaginary.
    time_ms : float or None
    volume : int or None
        Which volume of 4-D files, from 1.
    said : str
        Which of several it is, where it was chosen by its time.
    """

    volumes: Mapping[str, BidsImage]
    time_ms: float | None = None
    volume: int | None = None
    said: str = ""


@dataclass(frozen=True)
class Acquisition:
    """Images with phase that differ in nothing but part and echo.

    Attributes
    ----------
    entities : mapping of str to str
        What their names have in common.
    echoes : mapping of str to mapping of str to BidsImage
        Label of the echo, empty where the names have none -> its images by what they are.
    """

    entities: Mapping[str, str]
    echoes: Mapping[str, Mapping[str, BidsImage]]

    def echo(self, wanted: str | None, sidecars: Sidecars) -> Echo:
        """The echo of this label, of several else the one nearest 20 ms.

        Raises
        ------
        DataError
            If there is no such echo, or nobody says when they were.
        """
        if len(self.echoes) == 1:
            ((label, images),) = self.echoes.items()
            if wanted not in (None, "n/a") and label and not _same(label, wanted):
                raise DataError(f"has no echo {wanted}, but {label}.")
            return self._volume(images, wanted if not label else None, sidecars)
        if wanted is not None:
            label = "" if wanted == "n/a" else next((x for x in self.echoes if _same(x, wanted)), wanted)
            if label not in self.echoes:
                raise DataError(f"has no echo {wanted}, but {', '.join(x or 'n/a' for x in self.echoes)}.")
            return Echo(self.echoes[label], _time(self.echoes[label], sidecars))
        times = {label: _time(images, sidecars) for label, images in self.echoes.items()}
        label, said = _nearest(times)
        return Echo(self.echoes[label], times[label], said=said)

    def _volume(self, images: Mapping[str, BidsImage], wanted: str | None, sidecars: Sidecars) -> Echo:
        """The only file of each kind, and which of its volumes."""
        count = max(_volumes_of(image) for role, image in images.items() if role != "swi")
        if count == 1:
            return Echo(images, _time(images, sidecars))
        times = {str(n): _time(images, sidecars, n) for n in range(1, count + 1)}
        if wanted is None:
            label, said = _nearest(times)
            return Echo(images, times[label], int(label), said)
        if not (wanted.isdecimal() and wanted.isascii() and 1 <= int(wanted) <= count):
            raise DataError(f"has no echo {wanted}; its files hold {count} volumes.")
        return Echo(images, times[str(int(wanted))], int(wanted))


def acquisitions(images: Iterable[BidsImage], plain_swi: str, sidecars: Sidecars) -> list[Acquisition]:
    """Put together what belongs together, and leave out what lacks a phase or something beside it.

    A SWI belongs to the acquisition whose names differ from its own in the suffix alone.

    Parameters
    ----------
    images : iterable of BidsImage
        Of one subject and session.
    plain_swi : {"swi", "magnitude"}
        What one with the suffix swi and no part is, where its sidecar does not say it.
    sidecars : Sidecars

    Raises
    ------
    DataError
        If the names of two images say the same.
    """
    groups: dict[tuple[tuple[str, str], ...], dict[str, dict[str, BidsImage]]] = {}
    swis: dict[tuple[tuple[str, str], ...], BidsImage] = {}
    for image in images:
        role = _role(image, plain_swi, sidecars)
        if role is None:
            continue
        common = {key: value for key, value in image.entities.items() if key not in _APART}
        if role == "swi":
            key = tuple((k, v) for k, v in sorted(common.items()) if k != "suffix")
            other = swis.setdefault(key, image)
        else:
            key = tuple(sorted({**common, "suffix": image.suffix}.items()))
            other = groups.setdefault(key, {}).setdefault(image.entities.get("echo", ""), {}).setdefault(role, image)
        if other is not image:
            raise DataError(f"{other.path} and {image.path.name}: their names say the same. Keep one of them.")
    found = []
    for key, echoes in groups.items():
        swi = swis.get(tuple((k, v) for k, v in key if k != "suffix"))
        whole = {label: volumes for label, roles in echoes.items() if (volumes := _whole(roles, swi))}
        if whole:
            found.append(Acquisition(dict(key), whole))
    return found


def of_entities(images: Iterable[BidsImage], entities: Mapping[str, str]) -> list[BidsImage]:
    """Those of the images of one subject and session that have these entities.

    One without an entity is among them where no other has the value that is asked for. The echo is not looked at.
    """
    kept = list(images)
    for key, value in entities.items():
        if key == "echo":
            continue
        exact = [image for image in kept if _same(image.entities.get(key, "n/a"), value)]
        kept = exact or [image for image in kept if key not in image.entities]
    return kept


def check_entities(images: Sequence[BidsImage], entities: Mapping[str, str]) -> None:
    """Check that some image has each of the entities that are asked for.

    Raises
    ------
    UsageError
        Naming those that there are.
    """
    for key, value in entities.items():
        there = {image.entities[key] for image in images if key in image.entities}
        if value == "n/a" or key == "echo" or any(_same(one, value) for one in there):
            continue
        if there:
            raise UsageError(f"--entity {key}={value}: no image has it; found {key}={f', {key}='.join(sorted(there))}.")
        keys = {key for image in images for key in image.entities} - {"part"}
        raise UsageError(f"--entity {key}={value}: no image has {key}-; found {', '.join(sorted(keys))}.")


def distinguished(several: Sequence[Acquisition]) -> Iterator[tuple[str, BidsImage]]:
    """What tells each of several acquisitions from the others, as options, and an image of it."""
    keys = [key for one in several for key in one.entities]
    differ = [key for key in dict.fromkeys(keys) if len({one.entities.get(key) for one in several}) > 1]
    for one in several:
        images = next(iter(one.echoes.values()))
        yield " ".join(f"--entity {key}={one.entities.get(key, 'n/a')}" for key in differ), next(iter(images.values()))


def _same(one: str, other: str) -> bool:
    """Whether labels are the same; 01 and 1 are."""
    if one.isdecimal() and other.isdecimal():
        return int(one) == int(other)
    return one.casefold() == other.casefold()


def _role(image: BidsImage, plain_swi: str, sidecars: Sidecars) -> str | None:
    if image.suffix not in {suffix.casefold() for suffix in SUFFIXES}:
        return None
    if "part" in image.entities:
        return _PARTS.get(image.entities["part"])
    if image.suffix != "swi":
        return "plain"
    types = sidecars.of(image).get("ImageType", [])
    words = {str(word).upper() for word in (types if isinstance(types, list) else [types])}
    if any(word.startswith("SWI") for word in words):
        return "swi"
    if words & {"MNIP", "MIP", "MINIP", "MIN IP"}:
        return None
    return "plain" if words & {"M", "MAGNITUDE", "M_FFE"} or plain_swi == "magnitude" else "swi"


def _whole(roles: Mapping[str, BidsImage], swi: BidsImage | None) -> dict[str, BidsImage]:
    """The volumes of an echo, if they are enough; an image without part is the magnitude where no other is."""
    magnitude = roles.get("magnitude", roles.get("plain"))
    beside = {"swi": swi} if swi is not None else {}
    if "phase" in roles and (magnitude or swi):
        return {**({"magnitude": magnitude} if magnitude else {}), "phase": roles["phase"], **beside}
    if {"real", "imaginary"} <= roles.keys():
        return {"real": roles["real"], "imaginary": roles["imaginary"], **beside}
    return {}


def _volumes_of(image: BidsImage) -> int:
    try:
        return read_grid(image.path).volumes
    except CmbError:  # said where the file is read
        return 1


def _time(images: Mapping[str, BidsImage], sidecars: Sidecars, volume: int | None = None) -> float | None:
    """The echo time [ms] that the sidecar of the phase says, or of another."""
    for image in sorted(images.values(), key=lambda image: image.entities.get("part") != "phase"):
        time = echo_time_ms(sidecars.of(image), volume) if image.suffix != "swi" or "part" in image.entities else None
        if time is not None and time <= _LONGEST_ECHO_MS:
            return time
    return None


def _nearest(times: Mapping[str, float | None]) -> tuple[str, str]:
    """The label of the echo nearest 20 ms, and what to say of it.

    Raises
    ------
    DataError
        If the time of one is not known, or all are the same.
    """
    known = {label: time for label, time in times.items() if time is not None}
    if len(known) < len(times) or len(set(known.values())) < len(known):
        raise DataError(
            f"has {len(times)} echoes ({', '.join(x or 'n/a' for x in times)}), and no sidecar says when each was "
            "(EchoTime, in seconds). Say which is meant with --entity echo=N."
        )
    label = min(known, key=lambda label: abs(known[label] - _BEST_ECHO_MS))
    which = f"echo {label} ({known[label]:.3g} ms)"
    return label, f"of {len(times)} echoes the one nearest {_BEST_ECHO_MS:g} ms is taken: {which}"
