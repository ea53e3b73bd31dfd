"""One table, four forms: Markdown to read, TSV to compute with, LaTeX to typeset, HTML to look at. The fifth, for a
terminal, is in :mod:`.screen`."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from html import escape
from itertools import groupby
from string import ascii_lowercase

import pandas as pd

__all__ = ["Column", "Entry", "Row", "Table", "plain_table"]

_LATEX = {
    "\\": r"\textbackslash{}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': "''",
    "\N{EN DASH}": "--",
    "\N{NO-BREAK SPACE}": "~",
    "\N{MULTIPLICATION SIGN}": r"$\times$",
    "\N{GREATER-THAN OR EQUAL TO}": r"$\geq$",
}


@dataclass(frozen=True)
class Entry:
    """What stands in one place of a table.

    Attributes
    ----------
    text : str
        Empty for nothing.
    interval : (str, str) or None
        Ends of a 95 % interval, set beside the value.
    note : str
        A footnote; equal ones share a mark.
    missing : bool
        Whether `text` only says that there is no value, as ``not run`` does.
    """

    text: str = ""
    interval: tuple[str, str] | None = None
    note: str = ""
    missing: bool = False


@dataclass(frozen=True)
class Column:
    """A column's heading, and the heading that it shares with its neighbours."""

    name: str
    group: str = ""

    @property
    def full_name(self) -> str:
        return f"{self.group}: {self.name}" if self.group else self.name


@dataclass(frozen=True)
class Row:
    """A line of cells; `total` sets it off from those above, `begins` starts a block, `printed` is a paper's."""

    cells: tuple[Entry, ...]
    total: bool = False
    begins: bool = False
    printed: bool = False


@dataclass(frozen=True)
class Table:
    """A table with its caption and notes.

    Attributes
    ----------
    name : str
        File stem and anchor: ``table-4``.
    title : str
        The caption. ``label`` before it is what the table is called, for example ``Table 4``; LaTeX counts itself.
    columns : tuple of Column
    rows : tuple of Row
    notes : tuple of str
        Sentences under the table; the cells' footnotes follow them.
    words : int
        So many first columns hold words; the others hold numbers.

    Raises
    ------
    ValueError
        If a row has not as many cells as there are columns.
    """

    name: str
    title: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    notes: tuple[str, ...] = ()
    words: int = 1
    label: str = ""

    def __post_init__(self) -> None:
        for row in self.rows:
            if len(row.cells) != len(self.columns):
                raise ValueError(f"{self.name}: {len(row.cells)} cells in a row of {len(self.columns)} columns")

    @property
    def caption(self) -> str:
        return f"{self.label}. {self.title}" if self.label else self.title

    @property
    def footnotes(self) -> dict[str, str]:
        """Text of each footnote -> its mark, in the order in which they are met."""
        texts = dict.fromkeys(cell.note for row in self.rows for cell in row.cells if cell.note)
        return dict(zip(texts, ascii_lowercase, strict=False))

    def markdown(self) -> str:
        """The table in GitHub's Markdown; headings over several columns go into each of them."""
        marks = self.footnotes

        def text(cell: Entry, row: Row) -> str:
            value = _markdown(cell.text) + _between(cell, " (", "\N{EN DASH}", ")")
            value = f"**{value}**" if row.total and value and not cell.missing else value
            return value + (f"<sup>{marks[cell.note]}</sup>" if cell.note else "")

        lines = [
            f"### {_markdown(self.caption)}",
            "",
            "| " + " | ".join(_markdown(column.full_name) for column in self.columns) + " |",
            "|" + "---|" * self.words + "--:|" * (len(self.columns) - self.words),
            *("| " + " | ".join(text(cell, row) for cell in row.cells) + " |" for row in self.rows),
            "",
            *(f"{_markdown(note)}\n" for note in self.notes),
            *(f"<sup>{mark}</sup> {_markdown(note)}\n" for note, mark in marks.items()),
        ]
        return "\n".join(lines).rstrip() + "\n"

    def tsv(self) -> str:
        """The table's values: ``n/a`` for nothing, interval ends in columns of their own, the notes in the last."""
        ranged = {n for n in range(len(self.columns)) if any(row.cells[n].interval for row in self.rows)}

        def spread(values: Callable[[int], Sequence[str]]) -> Iterator[str]:
            for n in range(len(self.columns)):
                yield from values(n)[: 3 if n in ranged else 1]

        head = spread(lambda n: [self.columns[n].full_name + end for end in ("", ", 95 % low", ", 95 % high")])
        lines = [[*head, "note"]]
        for row in self.rows:
            said = dict.fromkeys(cell.note or cell.text for cell in row.cells if cell.note or cell.missing)
            plain = [Entry() if cell.missing else cell for cell in row.cells]
            line = spread(lambda n, plain=plain: [plain[n].text, *(plain[n].interval or ("", ""))])  # type: ignore[misc]
            lines.append([*line, "; ".join(text for text in said if text)])
        return "".join("\t".join(re.sub(r"\s+", " ", text) or "n/a" for text in line) + "\n" for line in lines)

    def latex(self) -> str:
        """The table as a LaTeX float; needs the package booktabs."""
        marks = self.footnotes

        def text(cell: Entry, row: Row) -> str:
            value = _latex(cell.text)
            if cell.interval:
                value += r" {\scriptsize (" + _between(cell, "", "--", "") + ")}"
            value = rf"\textbf{{{value}}}" if row.total and value and not cell.missing else value
            return value + (rf"\textsuperscript{{{marks[cell.note]}}}" if cell.note else "")

        groups = [(name, len(list(columns))) for name, columns in groupby(self.columns, key=lambda each: each.group)]
        head = [" & ".join(_latex(column.name) for column in self.columns) + r" \\"]
        if any(name for name, _ in groups):
            over = [rf"\multicolumn{{{n}}}{{c}}{{{_latex(name)}}}" for name, n in groups]
            rules, start = "", 1
            for name, n in groups:
                rules += rf"\cmidrule(lr){{{start}-{start + n - 1}}}" if name else ""
                start += n
            head = [" & ".join(over) + r" \\", rules, *head]
        body = []
        for n, row in enumerate(self.rows):
            body += [r"\midrule"] if row.begins and n else []
            body.append(" & ".join(text(cell, row) for cell in row.cells) + r" \\")
        under = [_latex(note) for note in self.notes]
        under += [rf"\textsuperscript{{{mark}}}~{_latex(note)}" for note, mark in marks.items()]
        return "\n".join(
            [
                "% needs \\usepackage{booktabs}",
                r"\begin{table*}",
                r"\centering\footnotesize\setlength{\tabcolsep}{4pt}",
                rf"\caption{{{_latex(self.title)}}}",
                rf"\label{{tab:{self.name}}}",
                rf"\begin{{tabular}}{{{'l' * self.words}{'r' * (len(self.columns) - self.words)}}}",
                r"\toprule",
                *head,
                r"\midrule",
                *body,
                r"\bottomrule",
                r"\end{tabular}",
                *([r"\par\smallskip\raggedright\scriptsize", "\n\n".join(under)] if under else []),
                r"\end{table*}",
                "",
            ]
        )

    def html(self) -> str:
        """The table as an HTML fragment."""
        marks = self.footnotes
        groups = [(name, len(list(columns))) for name, columns in groupby(self.columns, key=lambda each: each.group)]
        first = {sum(n for _, n in groups[:at]) for at, (name, _) in enumerate(groups) if name}

        def kind(n: int, *more: str) -> str:
            names = [*(["word"] if n < self.words else []), *(["first"] if n in first else []), *more]
            return f' class="{" ".join(names)}"' if names else ""

        def text(cell: Entry) -> str:
            value = escape(cell.text) + (f"<sup>{marks[cell.note]}</sup>" if cell.note else "")
            return value + _between(cell, '<span class="interval">', "\N{EN DASH}", "</span>")

        lines = [f'<table id="{escape(self.name)}">', f"<caption>{escape(self.caption)}</caption>", "<thead>"]
        if any(name for name, _ in groups):
            over = "".join(
                f'<th colspan="{n}" scope="colgroup"{kind(sum(m for _, m in groups[:at]), "group")}>{escape(name)}</th>'
                if name
                else f'<td colspan="{n}"></td>'
                for at, (name, n) in enumerate(groups)
            )
            lines.append(f"<tr>{over}</tr>")
        names = "".join(f'<th scope="col"{kind(n)}>{escape(each.name)}</th>' for n, each in enumerate(self.columns))
        lines += [f"<tr>{names}</tr>", "</thead>", "<tbody>"]
        for at, row in enumerate(self.rows):
            style = [*(["total"] if row.total else []), *(["begins"] if row.begins and at else [])]
            cells = [f'<th scope="row"{kind(0)}>{text(row.cells[0])}</th>']
            cells += [
                f"<td{kind(n, *(['missing'] if cell.missing else []))}>{text(cell)}</td>"
                for n, cell in enumerate(row.cells[1:], 1)
            ]
            lines.append(
                f"<tr{f' class={chr(34)}{chr(32).join(style)}{chr(34)}' if style else ''}>{''.join(cells)}</tr>"
            )
        lines += ["</tbody>", "</table>"]
        notes = [escape(note) for note in self.notes]
        notes += [f"<sup>{mark}</sup> {escape(note)}" for note, mark in marks.items()]
        lines += ['<div class="notes">', *(f"<p>{note}</p>" for note in notes), "</div>"] if notes else []
        return "\n".join(lines) + "\n"


def plain_table(
    name: str,
    title: str,
    frame: pd.DataFrame,
    *,
    words: int = 1,
    notes: Sequence[str] = (),
    label: str = "",
    printed: int = 0,
) -> Table:
    """A table of a frame's values as they are; so many last rows are `printed` by a paper."""
    own = len(frame) - printed
    rows = tuple(
        Row(tuple(Entry(str(value)) for value in line), printed=n >= own)
        for n, line in enumerate(frame.itertuples(index=False))
    )
    return Table(name, title, tuple(Column(str(column)) for column in frame), rows, tuple(notes), words, label)


def _between(cell: Entry, before: str, dash: str, after: str) -> str:
    if not cell.interval:
        return ""
    low, high = cell.interval
    between = " to " if low[:1] in "+-" or high[:1] in "+-" else dash  # of differences: a dash would be one sign more
    return f"{before}{low}{between}{high}{after}"


def _latex(text: str) -> str:
    return "".join(_LATEX.get(letter, letter) for letter in text)


def _markdown(text: str) -> str:
    return re.sub(r"([\\|*_<`\[\]])", r"\\\1", text.replace("\n", " "))
