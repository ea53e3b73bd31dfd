"""Where everything lies in the folder of a review."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from ..errors import MissingError
from ..names import SUBJECT
from .writing import TABLE

__all__ = ["Review"]

_ROUND = re.compile(r"round-(\d{2,})\.tsv")


@dataclass(frozen=True)
class Review:
    """A review: what was handed out, the rounds that came back, and what they come to.

    ::

        review/
          handed-out/           what readers get; from `cmbtk review write`
          round-01.tsv ...      what came back; added to, never replaced; from `cmbtk review read`
          agreed/               what all rounds come to: findings.tsv, scans.tsv, microbleeds.tsv
          lessons/SUBJECT/      patches to learn from; from `cmbtk train --reviewed`
    """

    folder: Path

    @classmethod
    def opened(cls, folder: Path) -> Review:
        """One that is there.

        Raises
        ------
        MissingError
        """
        review = cls(folder)
        if not review.asked.is_file():
            raise MissingError(f"{folder}: holds no review. Make one with `cmbtk review write`, or check the path.")
        return review

    @property
    def handed_out(self) -> Path:
        return self.folder / "handed-out"

    @property
    def asked(self) -> Path:
        """The table of what was handed out."""
        return self.handed_out / TABLE

    @property
    def agreed(self) -> Path:
        return self.folder / "agreed"

    @property
    def findings(self) -> Path:
        """The verdict on each finding."""
        return self.agreed / "findings.tsv"

    @property
    def scans(self) -> Path:
        """How far each scan is."""
        return self.agreed / "scans.tsv"

    @property
    def microbleeds(self) -> Path:
        """The agreed microbleeds alone, as `cmbtk import --marks` and `cmbtk evaluate --truth` take them."""
        return self.agreed / "microbleeds.tsv"

    def lessons(self, scan: str) -> Path:
        """What there is to learn from a scan."""
        return self.folder / "lessons" / SUBJECT.check(scan)

    def rounds(self) -> list[Path]:
        """The rounds that are there, in their order."""
        found = self.folder.glob("round-*.tsv") if self.folder.is_dir() else ()
        return sorted((path for path in found if _ROUND.fullmatch(path.name)), key=_number)

    def next_round(self) -> Path:
        """The file of the round to come."""
        last = max(map(_number, self.rounds()), default=0)
        return self.folder / f"round-{last + 1:02d}.tsv"


def _number(path: Path) -> int:
    match = _ROUND.fullmatch(path.name)
    assert match is not None  # only such are asked
    return int(match[1])
