"""A model's files: what is written is read again, and what no model holds is refused."""

import json
import zipfile

import pytest
from hand_made_model import content, model
from hypothesis import given, settings
from hypothesis import strategies as st

from cmb_toolkit.bundle.card import card, expected
from cmb_toolkit.bundle.content import OPERATING, parse
from cmb_toolkit.bundle.files import MODEL, opened, pack, verify
from cmb_toolkit.errors import DataError, MissingError


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return model(tmp_path_factory.mktemp("model") / "ours.cmbtk")


def test_what_was_written_is_read_again(made):
    with opened(made) as bundle:
        assert verify(bundle, made) == 4
        assert bundle.title == "ours 2"
        assert bundle.content == content(files=bundle.content.files)


def test_a_zip_is_the_same_model_and_the_same_bytes_each_time(made, tmp_path):
    with opened(made) as bundle:
        pack(bundle, tmp_path / "one.zip")
        pack(bundle, tmp_path / "two.zip")
        here = bundle.content
    assert (tmp_path / "one.zip").read_bytes() == (tmp_path / "two.zip").read_bytes()
    with opened(tmp_path / "one.zip") as bundle:
        assert bundle.content == here
        assert verify(bundle, tmp_path / "one.zip") == 4
        folder = bundle.folder
    assert not folder.exists(), "nothing is left behind"


def test_a_file_that_was_changed_is_named(made, tmp_path):
    with opened(made) as bundle:
        pack(bundle, tmp_path / "x.zip")
    with zipfile.ZipFile(tmp_path / "x.zip") as archive:
        archive.extractall(tmp_path / "changed.cmbtk")
    with (tmp_path / "changed.cmbtk" / "detector.weights").open("r+b") as stream:
        stream.seek(30)
        stream.write(b"\x07")
    with (
        opened(tmp_path / "changed.cmbtk") as bundle,
        pytest.raises(DataError, match=r"detector\.weights is not the file"),
    ):
        verify(bundle, tmp_path)


def hostile(path, members):
    with zipfile.ZipFile(path, "w") as archive:
        for name, data, kind, mode in members:
            info = zipfile.ZipInfo(name)
            info.compress_type, info.external_attr = kind, mode << 16
            archive.writestr(info, data)
    return path


GOOD = (MODEL, "{}", zipfile.ZIP_STORED, 0o644)


@pytest.mark.parametrize(
    "members",
    [
        [GOOD, ("../out", "x", zipfile.ZIP_STORED, 0o644)],
        [GOOD, ("/etc/x", "x", zipfile.ZIP_STORED, 0o644)],
        [GOOD, ("run.py", "x", zipfile.ZIP_STORED, 0o644)],
        [GOOD, ("detector.weights", "/etc/passwd", zipfile.ZIP_STORED, 0o120777)],
        [GOOD, ("detector.weights", b"0" * 10_000_000, zipfile.ZIP_DEFLATED, 0o644)],
        [GOOD, GOOD],
    ],
    ids=["up", "absolute", "unknown", "link", "packed", "twice"],
)
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_zip_with_what_no_model_holds_is_refused(tmp_path, members):
    with pytest.raises(DataError, match="as no model does"), opened(hostile(tmp_path / "x.zip", members)):
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["x.zip"]


def test_what_is_no_model_is_said_in_one_sentence(tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "text.zip").write_text("no zip")
    for path, error in (("folder", MissingError), ("nowhere", MissingError), ("text.zip", DataError)):
        with pytest.raises(error, match=path), opened(tmp_path / path):
            pass


@pytest.mark.parametrize("schema", [0, 1, "2", None])
def test_another_schema_is_refused(schema):
    with pytest.raises(DataError, match="schema"):
        parse(content().as_json() | {"schema": schema}, "x")


def paths(value, at=()):
    """Every place in a JSON value."""
    yield at
    parts = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, each in parts:
        yield from paths(each, (*at, name))


WHOLE = json.loads(json.dumps(content().as_json()))
FREE = {"toolkit", "preprocessing"}


@given(
    st.sampled_from([p for p in paths(WHOLE) if p and not FREE & set(p)]),
    st.sampled_from([None, "x" * 20_000, [], {}, -1.5, float("nan"), True, {"a": 1}]),
)
@settings(max_examples=200)
def test_a_content_with_anything_else_in_a_place_is_refused_or_a_content(place, other):
    broken = json.loads(json.dumps(WHOLE))
    within = broken
    for name in place[:-1]:
        within = within[name]
    within[place[-1]] = other
    try:
        found = parse(broken, "model.json")
    except DataError as error:
        said = str(error)
    else:
        said = "model.json" if set(found.points) == set(OPERATING) else ""
    assert said.startswith("model.json")


def test_the_card_says_simulated_first_and_what_was_reached():
    text = card(content())
    assert text.index("simulated") < text.index("What it reached")
    assert "| balanced | 0.5 | 0.2 | 80 % (70 to 90) | 0.50 (0.20 to 0.90) |" in text
    assert "US 11,481,902 B2" in text
    assert "80 % (70 to 90)" in expected(content().points["balanced"])
    assert "not measured" in expected(content().points["specific"])
