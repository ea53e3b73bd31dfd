"""Tables of marks as people make them."""

import pytest

from cmb_toolkit.errors import DataError
from cmb_toolkit.sources.marks.base import MarkOptions
from cmb_toolkit.sources.marks.table import read


def read_marks(path):
    return read(path, MarkOptions()).points.drop(columns="where")


def test_marks_by_voxel_or_world(tmp_path):
    path = tmp_path / "marks.tsv"
    path.write_text("participant_id\treader\ti\tj\tk\n007\tA\t1\t2\t3\n")
    frame = read_marks(path)
    assert list(frame.columns) == ["participant_id", "i", "j", "k"]
    assert frame.iloc[0].tolist() == ["007", 1, 2, 3]
    path.write_text("participant_id\tx_mm\ty_mm\tz_mm\n1\t-1.5\t2\t3\n")
    assert read_marks(path).iloc[0].tolist() == ["1", -1.5, 2.0, 3.0]
    path.write_text("participant_id\tx_mm\ty_mm\tz_mm\n")
    assert read_marks(path).empty


def test_headings_in_capitals_and_both_kinds_of_columns(tmp_path):
    path = tmp_path / "marks.tsv"
    path.write_text("Participant_ID\tI\tJ\tK\tX_mm\tY_MM\tz_mm\nNA\t1\t2\t3\t.5\t1\t1.5\n")
    assert read_marks(path).to_dict("records") == [
        {"participant_id": "NA", "i": 1, "j": 2, "k": 3, "x_mm": 0.5, "y_mm": 1, "z_mm": 1.5}
    ]


def test_every_bad_line_is_named(tmp_path):
    path = tmp_path / "marks.tsv"
    path.write_text("participant_id\ti\tj\tk\na\t1\t2\t\na\t1\t2\t3\nb\t1.5\t2\t3\n")
    with pytest.raises(DataError, match=r"line 2 holds a, 1, 2, n/a(.|\n)*line 4 holds b, 1.5, 2, 3"):
        read_marks(path)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("participant_id\ti\tj\n1\t2\t3\n", "expected participant_id and either i, j, k"),
        ("participant_id\ti\tI\tj\tk\n", "column 'i' stands twice"),
        ("participant_id\ti\tj\tk\tx_mm\n1\t2\t3\t4\t5\n", "expected participant_id and either i, j, k"),
        ("participant_id\ti\tj\tk\n1\tTrue\tTrue\tTrue\n", "line 2: i is 'True'"),
        ("participant_id\tI\tj\tk\n1\t12,0\t3\t4\n", "line 2: i is '12,0'"),
        ("participant_id\ti\tj\tk\n1\t2\t3\t4\n1\t2\t3.5\t4\n", "line 3 holds 1, 2.*3.5.*whole voxel"),
        ("participant_id\ti\tj\tk\n1\t2\tx\t4\n", "line 2: j is 'x'"),
        ("participant_id\ti\tj\tk\nn/a\t2\t3\t4\n", "line 2 holds n/a, 2.*expected a participant_id and three"),
        ("participant_id\tx_mm\ty_mm\tz_mm\n1\t2\tn/a\t4\n", "line 2 holds .*millimetres"),
        ("participant_id\tx_mm\ty_mm\tz_mm\n1\t2\tinf\t4\n", "line 2: y_mm is 'inf'"),
    ],
)
def test_bad_marks_are_named(tmp_path, text, expected):
    (tmp_path / "marks.tsv").write_text(text)
    with pytest.raises(DataError, match=expected) as caught:
        read_marks(tmp_path / "marks.tsv")
    assert "marks.tsv" in str(caught.value)


def test_other_columns_may_hold_anything(tmp_path):
    path = tmp_path / "marks.tsv"
    path.write_text("participant_id\tlabel\tconfidence\ti\tj\tk\n1\tF-1\thigh\t1\t2\t3\n", "utf-8")
    assert read_marks(path).to_dict("records") == [{"participant_id": "1", "i": 1, "j": 2, "k": 3}]
