"""A source that is told to look at something else says what that is, and what takes it."""

import pytest

from cmb_toolkit.errors import MissingError
from cmb_toolkit.registry import load
from cmb_toolkit.sources.registry import SOURCES
from cmb_toolkit.study.layout import Study


@pytest.fixture
def places(tmp_path):
    (tmp_path / "bids" / "sub-01" / "anat").mkdir(parents=True)
    (tmp_path / "authors" / "Data").mkdir(parents=True)
    (tmp_path / "any" / "p01").mkdir(parents=True)
    (tmp_path / "empty").mkdir()
    (tmp_path / "dicom").mkdir()
    (tmp_path / "dicom" / "0001").write_bytes(b"\0" * 128 + b"DICM")
    (Study.create(tmp_path / "study", name="study").root / "sub-01").mkdir()
    (tmp_path / "scans.tsv").write_text("participant_id\n", "utf-8")
    return tmp_path


@pytest.mark.parametrize(
    ("source", "place", "told"),
    [
        (
            "table",
            "bids",
            "is a folder, not a table; found sub-01. It is a BIDS folder, which `cmbtk import bids` takes",
        ),
        ("table", "authors", "It holds Data and Label, which `cmbtk import authors` takes"),
        ("table", "any", "found p01. Scans in any other order are imported from a table of files"),
        ("table", "study", "It is a study already: `cmbtk check` looks at it"),
        ("table", "dicom", "It holds DICOM, which `cmbtk import dicom` takes"),
        ("table", "nowhere", "not found. Check the path"),
        ("bids", "study", "is no BIDS folder; found .* It is a study already"),
        ("bids", "authors", "is no BIDS folder; found Data. It holds Data and Label"),
        ("bids", "empty", "is no BIDS folder; found nothing"),
        ("bids", "scans.tsv", "is a file, not a folder. `cmbtk import table` takes tables of files"),
        ("authors", "bids", "no folder Data in it; found sub-01. It is a BIDS folder"),
        ("authors", "scans.tsv", "is a file, not a folder"),
        ("authors", "nowhere", "not found"),
    ],
)
def test_what_lies_there_is_said(places, source, place, told):
    with pytest.raises(MissingError, match=told) as caught:
        load(SOURCES[source][0])().find(places / place, places / "study")
    assert str(caught.value).startswith(f"{places / place}: ")
