import io
import re
import shutil
import subprocess
from html.parser import HTMLParser

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cmb_toolkit.report.table import Column, Entry, Row, Table, plain_table

COLUMNS = (Column("Test set"), Column("TPs", "This study"), Column("Sens. (%)", "This study"), Column("TPs", "Paper"))
ROWS = (
    Row((Entry("fold 1"), Entry("36"), Entry("94.44", ("81.2", "99.9")), Entry("36", note="slip: 37")), begins=True),
    Row((Entry("fold 2"), Entry("not run", missing=True), Entry(), Entry("27", note="slip: 37"))),
    Row((Entry("total"), Entry("36"), Entry("94.44"), Entry("63", note="other")), total=True),
)
TABLE = Table("table-4", "Stage 1 & <all>", COLUMNS, ROWS, ("100 % of _them_.",), label="Table 4")
ANY = st.text(st.characters(blacklist_categories=("Cs", "Cc")), max_size=30)


class Reader(HTMLParser):
    """Checks that tags are nested, and keeps the texts of cells."""

    VOID = ("br", "img", "meta")

    def __init__(self):
        super().__init__()
        self.open, self.cells, self.tags = [], [], []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)
        if tag in ("td", "th"):
            self.cells.append("")

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if set(self.open) & {"td", "th"}:
            self.cells[-1] += data


def read(text):
    reader = Reader()
    reader.feed(text)
    reader.close()
    assert reader.open == []
    return reader


def one(text):
    return Table("t", text, (Column(text),), (Row((Entry(text, note=text),)),), (text,))


def test_footnotes_are_shared_and_lettered_in_order():
    assert TABLE.footnotes == {"slip: 37": "a", "other": "b"}


def test_markdown():
    text = TABLE.markdown()
    assert text.startswith("### Table 4. Stage 1 & \\<all>\n\n| Test set | This study: TPs |")
    assert "| fold 1 | 36 | 94.44 (81.2\N{EN DASH}99.9) | 36<sup>a</sup> |" in text
    assert "| fold 2 | not run |  | 27<sup>a</sup> |" in text
    assert "| **total** | **36** | **94.44** | **63**<sup>b</sup> |" in text
    assert "100 % of \\_them\\_." in text
    assert "<sup>b</sup> other" in text


def test_tsv_can_be_computed_with():
    table = pd.read_csv(io.StringIO(TABLE.tsv()), sep="\t", na_values=["n/a"])
    assert list(table) == [
        "Test set",
        "This study: TPs",
        "This study: Sens. (%)",
        "This study: Sens. (%), 95 % low",
        "This study: Sens. (%), 95 % high",
        "Paper: TPs",
        "note",
    ]
    assert table["This study: TPs"].tolist()[::2] == [36, 36]
    assert table.loc[0, "This study: Sens. (%), 95 % low"] == 81.2
    assert table["This study: TPs"].isna().tolist() == [False, True, False]
    assert table["note"].tolist() == ["slip: 37", "not run; slip: 37", "other"]
    assert table["Paper: TPs"].tolist() == [36, 27, 63]


def test_latex_has_as_many_cells_in_every_line():
    text = TABLE.latex()
    assert r"\caption{Stage 1 \& \textless{}all\textgreater{}}" in text
    assert r"\begin{tabular}{lrrr}" in text
    assert r"\cmidrule(lr){2-3}\cmidrule(lr){4-4}" in text
    assert r"63}\textsuperscript{b} \\" in text
    for line in text.splitlines():
        if line.endswith(r"\\"):
            spans = sum(int(n) - 1 for n in re.findall(r"\\multicolumn\{(\d+)\}", line))
            assert len(re.split(r"(?<!\\)&", line)) + spans == 4, line


def check_latex(text):
    """No special letter unescaped, braces balanced, environments closed in order."""
    plain = "\n".join(line for line in text.splitlines() if not line.startswith("% needs"))
    bare = re.sub(r"\\[\\&%$#_{}]", "", plain)
    assert not re.search(r"[#%^]", bare)
    depth = 0
    for letter in bare:
        depth += {"{": 1, "}": -1}.get(letter, 0)
        assert depth >= 0
    assert depth == 0
    stack = []
    for kind, name in re.findall(r"\\(begin|end)\{(\w+\*?)\}", text):
        if kind == "begin":
            stack.append(name)
        else:
            assert stack.pop() == name
    assert stack == []


@given(ANY)
def test_any_text_survives_html(text):
    reader = read(one(text).html())
    assert reader.cells[0] == text
    assert reader.cells[1] == text + ("a" if text else "")


@given(ANY)
def test_any_text_stays_in_its_place_in_tsv(text):
    lines = one(text).tsv().split("\n")
    assert len(lines) == 3
    assert {line.count("\t") for line in lines[:2]} == {1}


@given(ANY)
def test_any_text_is_harmless_in_latex(text):
    shown = one(text).latex()
    check_latex(shown)
    row = shown.split("\\midrule\n")[1].split("\\bottomrule")[0]
    assert len(re.split(r"(?<!\\)&", row)) == 1
    assert not re.search(r"(?<!\\)[%#]", row)


@given(ANY)
def test_any_text_stays_in_its_cell_in_markdown(text):
    row = next(line for line in one(text).markdown().split("\n")[3:] if line.startswith("|") and "---" not in line)
    assert len(re.findall(r"(?<!\\)(?:\\\\)*\|", row)) == 2


def test_html_names_groups_totals_and_what_is_missing():
    reader = read(TABLE.html())
    assert ("table", {"id": "table-4"}) in reader.tags
    assert sum(1 for tag, of in reader.tags if tag == "th" and of.get("scope") == "colgroup") == 2
    assert [of.get("class") for tag, of in reader.tags if tag == "tr"] == [None, None, None, None, "total"]
    assert "94.4481.2\N{EN DASH}99.9" in reader.cells
    assert any("missing" in of.get("class", "") for tag, of in reader.tags if tag == "td")


def test_rows_must_fit_the_columns():
    with pytest.raises(ValueError, match="2 cells in a row of 4 columns"):
        Table("t", "t", COLUMNS, (Row((Entry("a"), Entry("b"))),))


def test_a_frame_as_a_table():
    table = plain_table("slips", "Slips", pd.DataFrame({"a": ["x"], "b": [1]}), words=1)
    assert "| x | 1 |" in table.markdown()


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="no pdflatex")
def test_latex_compiles(tmp_path):
    body = TABLE.latex() + one('a_b & 50% #1 {x} ~ ^ \\ $ < > | "').latex()
    (tmp_path / "t.tex").write_text(
        "\\documentclass{article}\\usepackage{booktabs}\\begin{document}" + body + "\\end{document}", "utf-8"
    )
    subprocess.run(["pdflatex", "-halt-on-error", "t.tex"], cwd=tmp_path, check=True, capture_output=True, timeout=120)


@pytest.mark.parametrize(
    ("interval", "between"),
    [(("81.2", "99.9"), "\N{EN DASH}"), (("-26.1", "-9.7"), " to "), (("-0.4", "+2.3"), " to ")],
)
def test_the_ends_of_an_interval_are_told_from_their_signs(interval, between):
    shown = between.join(interval)
    table = Table("t", "t", (Column("a"), Column("b")), (Row((Entry("x"), Entry("1", interval))),))
    assert f"({shown})" in table.markdown()
    assert f">{shown}<" in table.html()
    assert "(" + shown.replace("\N{EN DASH}", "--") + ")" in table.latex()
