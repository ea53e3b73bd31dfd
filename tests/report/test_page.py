from html.parser import HTMLParser

from cmb_toolkit.report.page import Picture, Section, html_page
from cmb_toolkit.report.table import Column, Entry, Row, Table

PNG = b"\x89PNG\r\n\x1a\nnot really"


class Nesting(HTMLParser):
    VOID = ("img", "meta")

    def __init__(self):
        super().__init__()
        self.open, self.anchors, self.links, self.outside = [], [], [], []
        self.attributes = set()

    def handle_starttag(self, tag, attrs):
        of = dict(attrs)
        self.attributes |= of.keys()
        if tag not in self.VOID:
            self.open.append(tag)
        self.anchors += [of["id"]] if "id" in of else []
        self.links += [of["href"][1:]] if of.get("href", "").startswith("#") else []
        for name in ("src", "href"):
            if name in of and not of[name].startswith(("#", "data:image/png;base64,")):
                self.outside.append(of[name])

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def page():
    table = Table("table-1", "Counts < 5", (Column("a"), Column("b")), (Row((Entry("x & y"), Entry("1"))),), ("note",))
    sections = [
        Section("data", "Data", (table, Picture("figure-2", "Figure 2", "Masks", "All of <them>.", PNG)), ("Text.",)),
        Section("rest", "The rest", (Picture("figure-3", "Figure 3", "Lines", "there are none."),)),
    ]
    return html_page("A & B", "Lead.", [("Rule", "IoU > 0.8")], sections, warning="Take care.", footer="End.")


def test_tags_are_nested_and_nothing_lies_outside():
    reader = Nesting()
    reader.feed(page())
    reader.close()
    assert reader.open == []
    assert reader.outside == []
    assert {"data", "rest", "table-1", "figure-2", "figure-3"} == set(reader.anchors)
    assert len(reader.anchors) == len(set(reader.anchors))
    assert set(reader.links) <= set(reader.anchors)
    assert "http" not in page()
    assert "url(" not in page()


def test_text_is_escaped_once():
    text = page()
    assert "<title>A &amp; B</title>" in text
    assert "All of &lt;them&gt;." in text
    assert "Counts &lt; 5" in text
    assert "<td>1</td>" in text  # tables are not escaped again
    assert "x &amp; y" in text


def test_a_picture_that_is_not_there_says_so():
    text = page()
    assert text.count("<img ") == 1
    assert "<b>Figure 3. Lines:</b> not drawn, there are none." in text


def test_equal_content_gives_equal_bytes():
    assert page() == page()


def test_names_are_no_tags():
    """Whatever a study, a scanner or a cell is called, the page shows it and runs nothing."""
    evil = "<script>alert(1)</script><img src=x onerror=alert(1)>\"'&{{ 7 * 7 }}"
    table = Table(evil, evil, (Column(evil), Column("b")), (Row((Entry(evil), Entry("1"))),), (evil,))
    picture, lost = Picture("figure-2", evil, evil, evil, PNG), Picture("figure-3", evil, evil, evil)
    made = html_page(evil, evil, [(evil, evil)], [Section("data", evil, (table, picture, lost), (evil,))],
                     warning=evil, footer=evil)  # fmt: skip
    reader = Nesting()
    reader.feed(made)
    assert reader.outside == []
    assert "<script" not in made
    assert "<img src=x" not in made
    assert "{{ 7 * 7 }}" in made
    assert "onerror" not in reader.attributes
