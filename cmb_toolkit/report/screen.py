"""Tables that belong together, for a terminal and in Markdown."""

from __future__ import annotations

from dataclasses import dataclass

import rich.table
from rich.box import SIMPLE_HEAD
from rich.console import Console, Group
from rich.padding import Padding
from rich.text import Text

from .table import Table

__all__ = ["Page", "terminal"]


@dataclass(frozen=True)
class Page:
    """Tables that belong together, with sentences that hold for all of them."""

    title: str
    tables: tuple[Table, ...]
    notes: tuple[str, ...] = ()

    def markdown(self) -> str:
        """The page in GitHub's Markdown."""
        parts = [f"## {self.title}\n", *(table.markdown() for table in self.tables), *(f"{n}\n" for n in self.notes)]
        return "\n".join(parts).rstrip() + "\n"

    def show(self, console: Console) -> None:
        """Print the page."""
        console.print(Text(self.title, style="bold underline"))
        for table in self.tables:
            console.print(Padding(terminal(table), (1, 0, 0, 0)))
        for note in self.notes:
            console.print(Padding(Text(note), (1, 0, 0, 0)))


def terminal(table: Table) -> Group:
    """The table for a terminal, its label and title on two lines; printed rows are set apart and dim."""
    printed = any(row.printed for row in table.rows)
    shown = rich.table.Table(
        title="\n".join(line for line in (table.label, table.title) if line),
        title_justify="left",
        title_style="bold",
        header_style="bold",
        box=SIMPLE_HEAD,
        pad_edge=False,
        collapse_padding=True,
    )
    for n, column in enumerate(table.columns):
        justify = "left" if n < table.words else "right"
        shown.add_column(column.full_name, justify=justify, no_wrap=n == 0 or printed)  # type: ignore[arg-type]
    for row, after in zip(table.rows, (*table.rows[1:], None), strict=True):
        ends = after is not None and after.printed and not row.printed
        shown.add_row(*(cell.text for cell in row.cells), style="dim" if row.printed else None, end_section=ends)
    return Group(shown, *(Text(note, style="dim") for note in table.notes))
