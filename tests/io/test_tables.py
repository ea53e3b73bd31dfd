"""Tables: BIDS-like TSV, checked on reading."""

import hypothesis.strategies as st
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings

from cmb_toolkit.errors import DataError, MissingError
from cmb_toolkit.io.tables import as_number, read_tsv, write_tsv


@pytest.fixture
def path(tmp_path):
    return tmp_path / "table.tsv"


def test_round_trip(path):
    frame = pd.DataFrame(
        {"participant_id": ["sub-001", "sub-002"], "k": [3, 4], "x_mm": [1.25, np.nan], "scanner": ["Verio", None]}
    )
    write_tsv(frame, path)
    assert path.read_text() == "participant_id\tk\tx_mm\tscanner\nsub-001\t3\t1.25\tVerio\nsub-002\t4\tn/a\tn/a\n"
    pd.testing.assert_frame_equal(read_tsv(path), frame, check_dtype=False)


@given(st.lists(st.floats(-1e6, 1e6).map(lambda x: x + 0.0), min_size=1))
@settings(max_examples=50, deadline=None)
def test_numbers_survive_to_six_digits_and_writing_again_changes_nothing(tmp_path_factory, numbers):
    path = tmp_path_factory.mktemp("t") / "table.tsv"
    write_tsv(pd.DataFrame({"x": numbers}), path)
    text = path.read_text()
    again = read_tsv(path)
    np.testing.assert_allclose(again["x"], numbers, rtol=5e-6)
    write_tsv(again.astype(float), path)
    assert path.read_text() == text


def test_an_empty_table_keeps_its_columns(path):
    write_tsv(pd.DataFrame(columns=["participant_id", "i"]), path)
    assert read_tsv(path, ["i"]).empty


def test_identifiers_and_names_stay_text(path):
    path.write_text("participant_id\tcandidate_id\tresolution\tscanner\tk\n007\t01\t3\t15\t2\n")
    row = read_tsv(path).iloc[0]
    assert list(row) == ["007", "01", "3", "15", 2]


@pytest.mark.parametrize("nothing", ["n/a", "", " "])
def test_nothing_is_nan(path, nothing):
    path.write_text(f"participant_id\techo_time_ms\nsub-1\t{nothing}\nsub-2\t20\n")
    assert read_tsv(path)["echo_time_ms"].isna().tolist() == [True, False]


NAMES = ["NA", "null", "None", "nan", "NaN", "N/A", "True", "False", "<NA>", "#N/A", "-nan", "NULL"]


def test_names_that_other_programs_take_for_nothing(path):
    frame = pd.DataFrame({"participant_id": NAMES, "scanner": NAMES, "group": "patient", "person_id": NAMES})
    write_tsv(frame, path)
    pd.testing.assert_frame_equal(read_tsv(path), frame, check_dtype=False)


@pytest.mark.parametrize("text", ["True", "nan", "NA", "1,5", "1 5", "1_0", "0x10", "inf", "1e300", "１", "3 mm"])
@pytest.mark.parametrize("column", ["i", "x_mm", "left"])
def test_a_place_is_a_number(path, column, text):
    path.write_text(f"participant_id\t{column}\nsub-1\t4\nsub-2\t{text}\n")
    with pytest.raises(DataError, match=rf"table\.tsv: line 3: {column} is '{text}'; expected a number"):
        read_tsv(path)


@pytest.mark.parametrize("text", ["True", "1,5", "nan"])
def test_what_is_no_number_makes_no_column_of_numbers(path, text):
    path.write_text(f"participant_id\techo_time_ms\nsub-1\t{text}\nsub-2\t{text}\n")
    assert read_tsv(path)["echo_time_ms"].tolist() == [text, text]


def test_true_and_false_where_they_belong(path):
    path.write_text("candidate_id\tkept\na\tTrue\nb\tFalse\n")
    assert read_tsv(path)["kept"].dtype == bool
    path.write_text("candidate_id\tkept\na\tTrue\nb\tn/a\n")
    assert read_tsv(path)["kept"].dtype != bool


def test_a_name_in_two_unicode_forms_is_one(path):
    """But a path stays as the disk has it."""
    path.write_text(
        "participant_id\tscanner\tphase\nsub-1\tZu\u0308rich\tu\u0308.nii\nsub-2\tZ\u00fcrich\t\u00fc.nii\n"
    )
    frame = read_tsv(path)
    assert frame["scanner"].nunique() == 1
    assert frame["phase"].tolist() == ["u\u0308.nii", "\u00fc.nii"]


def test_a_column_that_stands_twice(path):
    path.write_text("participant_id\ti\ti \nsub-1\t4\t5\n")
    with pytest.raises(DataError, match="column 'i' stands twice"):
        read_tsv(path)


def test_tables_from_spreadsheets(path):
    """Byte order mark, Windows line ends, empty rows at the end."""
    path.write_bytes(b"\xef\xbb\xbfparticipant_id\tk\r\nsub-1\t4\r\n\t\r\n\r\n")
    assert read_tsv(path, ["participant_id", "k"])["k"].tolist() == [4]


def test_missing_file_is_named(path):
    with pytest.raises(MissingError, match=r"table\.tsv: not found"):
        read_tsv(path)
    path.mkdir()
    with pytest.raises(MissingError, match="is a folder"):
        read_tsv(path)


def test_missing_columns_are_named_beside_what_was_found(path):
    path.write_text("participant_id\tx\n")
    with pytest.raises(DataError, match="columns i, j missing; found participant_id, x") as caught:
        read_tsv(path, ["participant_id", "i", "j"])
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\n\n",
        b"a\tb\n1\t2\t3\n",
        b"a\tb\n1\t2\t3\n4\t5\t6\n",
        b"a\tb\n1\t2\n3\n",
        b"a\tb\n1\t2\n\n3\t4\n",
        b'a\tb\n1\t"2\n',
        b"a\n\xff\xfe\x00\n",
        b"PK\x03\x04\x00\x00\x08",
    ],
)
def test_what_is_no_table_is_refused(path, content):
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"table\.tsv"):
        read_tsv(path, ["a", "b"])


@pytest.mark.parametrize("begin", [b"PK\x03\x04\xff", b"\xd0\xcf\x11\xe0\xa1\xb1"])
def test_spreadsheets_are_named(path, begin):
    path.write_bytes(begin)
    with pytest.raises(DataError, match="it is a spreadsheet program's own file; export it as tab-separated text"):
        read_tsv(path)


def test_commas_are_no_tabs(path):
    path.write_text("participant_id,i\nsub-1,2\n")
    with pytest.raises(DataError, match="tab-separated"):
        read_tsv(path, ["participant_id"])


def test_what_became_of_microbleeds_is_text_even_where_nothing_was_found(path):
    """So that it can be joined with the candidates' identifiers."""
    path.write_text("participant_id\tcentre_stage1\tcentre_overall\nsub-1\tn/a\tn/a\n")
    found = read_tsv(path)
    candidates = found.iloc[:0][["centre_stage1"]].assign(candidate_id=found["participant_id"].iloc[:0])
    assert found.merge(candidates, left_on="centre_overall", right_on="candidate_id").empty
    assert found["centre_stage1"].isna().all()


def test_the_number_of_a_cell():
    assert [as_number(cell) for cell in (20, 2.5, "-1", "4096", "1e3")] == [20, 2.5, -1, 4096, 1000]
    assert np.isnan([as_number(cell) for cell in (True, "True", np.nan, "nan", "inf", "1_0", "1,5", "", None)]).all()


@pytest.mark.parametrize(
    ("column", "text"),
    [
        ("confidence", "abc"),
        ("confidence", "1e300"),
        ("confidence", "-1"),
        ("probability", "1.5"),
        ("k", "4.5"),
        ("label", "2"),
        ("epoch", "1.5"),
        ("loss", "inf"),
        ("tp", "x"),
        ("role", "tester"),
        ("origin", "elsewhere"),
        ("stage", "stage3"),
    ],
)
def test_a_column_holds_the_same_in_every_table(path, column, text):
    path.write_text(f"participant_id\t{column}\nsub-1\t{text}\n")
    with pytest.raises(DataError, match=rf"table\.tsv: line 2: {column} is '{text}'; expected "):
        read_tsv(path)


@pytest.mark.parametrize("column", ["participant_id", "k", "confidence"])
def test_what_is_asked_for_is_given_in_every_row(path, column):
    path.write_text(f"{column}\tother\nn/a\tx\n")
    assert read_tsv(path)[column].isna().all()
    with pytest.raises(DataError, match=rf"line 2: {column} is 'n/a'; expected"):
        read_tsv(path, [column])


def test_messages_do_not_show_a_cell_for_ever(path):
    for text in (f"k\n{'a' * 100_000}\n", "\t".join("abc" for _ in range(1000)) + "\n", f"{'x' * 100_000}\nx\n"):
        path.write_text(text)
        with pytest.raises(DataError) as caught:
            read_tsv(path, ["participant_id"])
        assert len(str(caught.value)) < 1000


@pytest.mark.parametrize("text", ["a\0b", "x" * 300, "a/" + "x" * 300, "a\x1b[31m"])
def test_paths_that_no_file_system_holds(path, text):
    path.write_text(f"participant_id\tmagnitude\nsub-1\t{text}\n")
    with pytest.raises(DataError, match=r"line 2: magnitude is .*; expected a path of printable characters") as caught:
        read_tsv(path)
    assert len(str(caught.value)) < 500
