"""Files read whole: what is no regular file, may not be read, is too large or no text is told in one line."""

import os

import pytest

from cmb_toolkit.errors import DataError, MissingError
from cmb_toolkit.io.files import check_file, is_file, load_json, load_toml, read_bytes, read_text

CURE = "Write it again."


def _folder(path):
    path.mkdir()


def _pipe(path):
    os.mkfifo(path)


def _loop(path):
    path.symlink_to(path.name)


def _device(path):
    path.symlink_to("/dev/zero")


def _dangling(path):
    path.symlink_to("nowhere")


@pytest.mark.parametrize("make", [_folder, _pipe, _loop, _device, _dangling])
def test_what_is_no_regular_file_is_told_in_one_line(make, tmp_path):
    path = tmp_path / "a.json"
    make(path)
    for read in (read_bytes, read_text, load_json, load_toml, check_file):
        with pytest.raises(MissingError, match=r"a\.json: .*Write it again\.") as raised:
            read(path, CURE)
        assert "\n" not in str(raised.value)


@pytest.mark.parametrize("name", ["a" * 300, "a/b" * 2000, "a\0b"])
def test_names_that_no_file_can_have(name, tmp_path):
    with pytest.raises(MissingError, match="Write it again"):
        read_text(tmp_path / name, CURE)
    assert not is_file(tmp_path / name)


def test_a_file_in_a_folder_s_place_is_a_file_that_is_not_there(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(MissingError, match="not found"):
        read_text(tmp_path / "file" / "a.json", CURE)


def test_missing_rights_are_said_as_such(tmp_path):
    path = tmp_path / "a.json"
    path.write_text("{}")
    path.chmod(0)
    tmp_path.chmod(0o755)
    nobody = not os.geteuid()
    parents = [parent for parent in tmp_path.parents if not parent.stat().st_mode & 1]
    for parent in parents if nobody else []:
        parent.chmod(parent.stat().st_mode | 0o111)
    if nobody:
        os.seteuid(65534)
    try:
        with pytest.raises(MissingError, match="permission denied"):
            read_text(path, CURE)
    finally:
        if nobody:
            os.seteuid(0)


def test_size_is_bounded_before_anything_is_read(tmp_path):
    path = tmp_path / "a.txt"
    with path.open("wb") as stream:
        stream.truncate(1 << 40)  # takes no room on disk
    with pytest.raises(DataError, match="1,099,511,627,776 bytes"):
        read_text(path, CURE)


@pytest.mark.parametrize(
    ("load", "text", "what"),
    [
        (load_json, "[" * 100_000, "nested too deep"),
        (load_json, "{", "not a JSON file"),
        (load_json, "\0", "not a JSON file"),
        (load_toml, "a = " + "[" * 100_000, "not a TOML file"),
        (load_toml, "a = ", "not a TOML file"),
    ],
)
def test_text_that_is_none_of_its_kind(load, text, what, tmp_path):
    path = tmp_path / "a.txt"
    path.write_text(text)
    with pytest.raises(DataError, match=what) as raised:
        load(path, CURE)
    assert len(str(raised.value)) < 1000


def test_no_text_at_all(tmp_path):
    path = tmp_path / "a.txt"
    path.write_bytes(b"abc\xff")
    with pytest.raises(DataError, match=r"not a text file in UTF-8 \(byte 3\)"):
        load_json(path, CURE)


def test_content_is_given_as_it_is(tmp_path):
    path = tmp_path / "a.json"
    path.write_bytes(b'{"a":\r\n1}')
    assert read_text(path, CURE) == '{"a":\r\n1}'
    assert load_json(path, CURE) == {"a": 1}
