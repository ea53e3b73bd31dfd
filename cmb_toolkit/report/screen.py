"""Tables as text, for a terminal and in Markdown."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pandas as pd
from rich.box import SIMPLE_HEAD
from rich.console import Console, Group
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

__all__ = ["Block", "Page"]


@dataclass(frozen=True)
class Block:
    """One table as text, ready to be shown.

    Attributes
    ----------
    title : str
    rows : DataFrame
        Text only; the first column names the row.
    reference : int
        So many last rows are the paper's and are set apart.
    notes : tuple of str
        Sentences under the table.
    """

    title: str
    rows: pd.DataFrame
    reference: int = 0
    notes: tuple[str, ...] = ()

    def markdown(self) -> str:
        """The table in GitHub's Markdown."""
        lines = [
            f"### {self.title.replace(chr(10), ': ')}",
            "",
            _line(self.rows.columns),
            "|---" + "|--:" * (self.rows.shape[1] - 1) + "|",
        ]
        lines += [_line(row) for row in self.rows.itertuples(index=False)]
        return "\n".join([*lines, "", *(f"{note}\n" for note in self.notes)])

    def render(self) -> Group:
        """The table for a terminal."""
        table = Table(
            title=self.title,
            title_justify="left",
            title_style="bold",
            header_style="bold",
            box=SIMPLE_HEAD,
            pad_edge=False,
            collapse_padding=True,
        )
        for n, name in enumerate(self.rows.columns):
            table.add_column(name, justify="right" if n else "left", no_wrap=n == 0 or self.reference > 0)
        last = len(self.rows) - self.reference
        for n, row in enumerate(self.rows.itertuples(index=False)):
            table.add_row(*row, style="dim" if n >= last else None, end_section=n == last - 1)
        return Group(table, *(Text(note, style="dim") for note in self.notes))


@dataclass(frozen=True)
class Page:
    """Tables that belong together, with sentences that hold for all of them."""

    title: str
    blocks: tuple[Block, ...]
    notes: tuple[str, ...] = field(default_factory=tuple)

    def markdown(self) -> str:
        """The page in GitHub's Markdown."""
        parts = [f"## {self.title}\n", *(block.markdown() for block in self.blocks), *(f"{n}\n" for n in self.notes)]
        return "\n".join(parts).rstrip() + "\n"

    def show(self, console: Console) -> None:
        """Print the page."""
        console.print(Text(self.title, style="bold underline"))
        for block in self.blocks:
            console.print(Padding(block.render(), (1, 0, 0, 0)))
        for note in self.notes:
            console.print(Padding(Text(note), (1, 0, 0, 0)))


def _line(cells: Any) -> str:
    return "| " + " | ".join(str(cell).replace("|", "\\|") for cell in cells) + " |"
