"""An export: how many findings there are."""

from dataclasses import dataclass
from typing import ClassVar

from cmb_toolkit.exports.base import Export
from cmb_toolkit.recipe import option


@dataclass(frozen=True)
class Count(Export):
    """A number in a file."""

    name: ClassVar[str] = "count"
    ending: ClassVar[str] = ".txt"

    word: str = option("findings", "Of count: of what.")

    def write(self, findings, like, path):
        path.write_text(f"{len(findings)} {self.word}\n")
