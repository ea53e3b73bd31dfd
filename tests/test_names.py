"""One grammar of names: what stands in paths, on command lines and in pages is harmless there."""

import shlex
from pathlib import PurePosixPath

import hypothesis.strategies as st
import pytest
from hypothesis import given

from cmb_toolkit.errors import DataError, UsageError
from cmb_toolkit.names import (
    CELL,
    FOLD,
    INPUT,
    PERSON,
    QUEUE,
    RESOLUTION,
    SCANNER,
    SESSION,
    SUBJECT,
    nfc,
    safe_id,
    shown,
    split_session,
    with_session,
)

PATH_NAMES = (SUBJECT, SESSION, RESOLUTION, FOLD, INPUT, CELL, PERSON, QUEUE)
EVERY = (*PATH_NAMES, SCANNER)
HOSTILE = (
    "$(touch x)", "`touch x`", "a;touch x", "a|b", "a&b", "-o", "--help", "a\nb", "a\x00b", "a'b", 'a"b', "a\\b", "*",
    "", ".", "..", "../../x", "a/../b", "/etc/passwd", "sub-../../x", "sub-1/../..", ".hidden", "~", "{w}", "%s",
    "<b>x</b>", "\x1b[31m", "sub-1\n", "x" * 300,
)  # fmt: skip


@pytest.mark.parametrize("grammar", EVERY, ids=lambda grammar: grammar.what)
@pytest.mark.parametrize("name", [*HOSTILE, None, float("nan"), 3, ["sub-1"]])
def test_what_could_do_harm_is_no_name(grammar, name):
    assert not grammar.fits(name)
    with pytest.raises(DataError) as caught:
        grammar.check(name, "folds.tsv")
    assert "\n" not in str(caught.value), "one line"
    assert "\x1b" not in str(caught.value), "nothing that a terminal obeys"
    assert len(str(caught.value)) < 300


@given(st.text(max_size=80))
def test_a_name_is_one_word_of_a_shell_and_one_part_of_a_path(text):
    for grammar in PATH_NAMES:
        if grammar.fits(text):
            assert shlex.quote(text) == text
            assert PurePosixPath(text).parts == (text,)
            assert text[0] not in "-."


@pytest.mark.parametrize(
    ("grammar", "name"),
    [
        (SUBJECT, "sub-001"),
        (SUBJECT, "sub-01_ses-2"),
        (RESOLUTION, "3T+7T"),
        (FOLD, "1"),
        (FOLD, "scanner-GE-750"),
        (FOLD, "left_out.a"),
        (SCANNER, "Siemens Prisma_fit (3.0T), room 2"),
        (SCANNER, "Gerät #1"),
        (PERSON, "P-17.a"),
        (INPUT, "swi+cphase-averaged"),
        (CELL, "HR+LR_swi_fold-1_repeat-2"),
        (QUEUE, "gpu,gpu_long"),
    ],
)
def test_names_of_every_day(grammar, name):
    assert grammar.check(name) == name


def test_the_kind_of_error_is_the_readers_choice():
    with pytest.raises(UsageError, match=r"--fold: fold 'a b': expected letters, .* Choose another\."):
        FOLD.check("a b", "--fold", UsageError, "Choose another.")


@pytest.mark.parametrize(
    ("name", "expected"),
    [("01", "sub-01"), ("sub-A1", "sub-A1"), ("a b", None), ("", None), ("sub-", None), ("ä1", None), ("a/b", None),
     ("7_ses-2", "sub-7_ses-2"), ("sub-sub-1", None), ("x" * 300, None)],
)  # fmt: skip
def test_identifiers_of_names_from_elsewhere(name, expected):
    assert safe_id(name) == expected


def test_sessions_are_split_off_and_put_back():
    assert split_session("sub-01_ses-2") == ("sub-01", "2")
    assert split_session("sub-01") == ("sub-01", None)
    assert with_session("sub-01", "2") == with_session("sub-01", "ses-2") == "sub-01_ses-2"


def test_accents_typed_in_two_ways_are_one():
    assert nfc("e\u0301") == "\u00e9"


def test_names_in_messages_are_short_and_on_one_line():
    assert shown("a\nb") == r"'a\nb'"
    assert len(shown("x" * 10**6)) < 80
    assert shown(float("nan")) == shown(None) == "(none)"
    assert shown(3) == "3"
