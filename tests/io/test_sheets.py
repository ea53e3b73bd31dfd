"""Readers' Excel sheets as people make them: obeyed by their headings, or refused with what is needed."""

import zipfile
from datetime import date
from itertools import permutations

import openpyxl
import pytest
from openpyxl.styles import Font

from cmb_toolkit.errors import DataError, MissingError
from cmb_toolkit.io.sheets import read_sheet

HEAD = ["slice", "x", "y"]


def sheet(path, *sheets, edit=lambda book: None):
    book = openpyxl.Workbook()
    book.remove(book.active)
    for n, rows in enumerate(sheets):
        page = book.create_sheet(f"Sheet{n + 1}")
        for row in rows:
            page.append(row)
    edit(book)
    book.save(path)
    return path


def marks(path):
    return read_sheet(path).to_numpy().tolist()


def refused(tmp_path, sheets, *parts, edit=lambda book: None):
    path = sheet(tmp_path / "kim.xlsx", *sheets, edit=edit)
    with pytest.raises(DataError) as caught:
        read_sheet(path)
    assert str(caught.value).startswith(f"{path}: ")
    for part in parts:
        assert part in str(caught.value)
    return str(caught.value)


def test_three_columns_without_headings(tmp_path):
    frame = read_sheet(sheet(tmp_path / "a.xlsx", [[34, 120, 200], [35, 7, 9]]))
    assert frame.to_numpy().tolist() == [[1, 34, 120, 200], [2, 35, 7, 9]]
    assert list(frame.columns) == ["row", "slice", "x", "y"]
    assert marks(sheet(tmp_path / "b.xlsx", [[None, 34, None, 120, 200, "sure"]])) == [[1, 34, 120, 200]]


def test_what_people_do_to_sheets(tmp_path):
    rows = [
        ["Labels", "of reader 1"],
        ["on", date(2019, 5, 4)],
        [],
        ["slice", "x", "y", "remark"],
        [34, "120", 200.0, "sure"],
        [None, None, None],
        ["", "", ""],
        [35, 7, 9],
    ]
    assert marks(sheet(tmp_path / "a.xlsx", rows, [], [[None]])) == [[5, 34, 120, 200], [8, 35, 7, 9]]


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_headings_in_any_order_beside_others(tmp_path, order):
    head = [([*HEAD, "No."])[n] for n in (3, *order)]
    rows = [[(34, 120, 200, number)[n] for n in (3, *order)] for number in (1, 2)]
    assert marks(sheet(tmp_path / "a.xlsx", [head, *rows]))[1] == [3, 34, 120, 200]


@pytest.mark.parametrize(
    "head",
    [
        ["Slice", "X", "Y"],
        ["z", "column", "row"],
        ["Slice No.", "x-coordinate", "y_coordinate"],
        ["SLICE NUMBER", "X (px)", "Y [voxel]"],
        ["Z", "Col", "Row"],
        ["CMB slice", "center x", "center y"],
        ["Schicht", "Spalte", "Zeile"],
    ],
)
def test_usual_spellings(tmp_path, head):
    rows = [[None, *head], [0, 34, 120, 200]]  # an index that nobody asked for
    assert marks(sheet(tmp_path / "a.xlsx", rows)) == [[2, 34, 120, 200]]


@pytest.mark.parametrize(
    ("rows", "parts"),
    [
        (
            [["No", "a", "b", "c"], [1, 34, 120, 200]],
            ("row 1 has the headings 'No', 'a', 'b', 'c'", "slice, x (column)"),
        ),
        ([["i", "j", "k"], [34, 120, 200]], ("row 1 has the headings 'i', 'j', 'k'",)),
        ([["slice", "x (mm)", "y (mm)"], [34, 12, 20]], ("row 1 has the headings",)),
        ([["number of slices", "x", "y"], [34, 12, 20]], ("row 1 has the headings",)),
        ([["slice"], [34, 12, 20]], ("row 1 has the headings 'slice'",)),
        ([["slice", "x", "y", "row"], [34, 1, 2, 3]], ("row 1: of the headings 'slice', 'x', 'y', 'row' two",)),
        ([[1, 34, 120, 200], [2, 35, 7, 9]], ("row 1 holds 1, 34, 120, 200: without headings", "there are 4")),
        ([[34, 120, 200], [35, 7, 9, 1]], ("row 1 holds", "there are 4")),
        ([[34, 120], [35, 7]], ("there are 2",)),
        ([[1, 2, 3], HEAD, [34, 120, 200]], ("row 2 holds 'slice', 'x', 'y'; expected three whole numbers",)),
        ([["no microbleeds"]], ("sheet Sheet1 holds 'no microbleeds'", "leave the sheet empty")),
        ([["34"], ["120"]], ("holds '34', and neither rows of three numbers",)),
    ],
)
def test_what_is_not_clear_is_refused(tmp_path, rows, parts):
    refused(tmp_path, [rows], *parts)


@pytest.mark.parametrize("sheets", [[[]], [[], []], [[["slice", "x", "y"]]], [[["Reader 1"], ["y", "x", "slice"]]]])
def test_no_rows_is_no_microbleed(tmp_path, sheets):
    frame = read_sheet(sheet(tmp_path / "a.xlsx", *sheets))
    assert frame.empty
    assert list(frame.columns) == ["row", "slice", "x", "y"]


@pytest.mark.parametrize(
    ("row", "shown"),
    [
        ([34, "abc", 200], "34, 'abc', 200"),
        ([34, None, 200], "34, empty, 200"),
        ([34, 120], "34, 120, empty"),
        ([34.5, 120, 200], "34.5, 120, 200"),
        ([34, 120, True], "34, 120, True"),
        ([34, 120, "nan"], "34, 120, 'nan'"),
        (["12,0", "34,0", "56,0"], "'12,0', '34,0', '56,0'"),
        ([34, 120, date(2019, 5, 4)], "datetime"),
        ([34, 120, "#REF!"], "'#REF!'"),
        ([34, 120, 1e300], "1e+300"),
        (["total", "", ""], "'total'"),
        ([None, None, None, "a lesion without a place"], "empty, empty, empty"),
    ],
)
@pytest.mark.parametrize("first", [[1, 2, 3], None])
def test_garbage_rows_are_named(tmp_path, row, shown, first):
    rows = [[*HEAD, "remark"], *([first] if first else []), row]
    refused(tmp_path, [rows], f"sheet Sheet1, row {len(rows)} holds ", shown, "expected three whole numbers")


def test_every_garbage_row_is_named(tmp_path):
    message = refused(tmp_path, [[HEAD, ["a", 1, 1], [1, 1, 1], ["b", 1, 1]]], "row 2 holds", "row 4 holds")
    assert len(message.splitlines()) == 2


def test_rows_of_text_are_not_an_empty_sheet(tmp_path):
    refused(
        tmp_path, [[["12,0", "34,0", "56,0"], ["1,0", "2,0", "3,0"]]], "row 1 holds '12,0', '34,0', '56,0'", "row 2"
    )


@pytest.mark.parametrize("head", [[HEAD], []])
def test_formulas_without_a_value(tmp_path, head):
    rows = [*head, [1, 2, 3], ["=33+1", "=A1", 3]]
    refused(tmp_path, [rows], f"row {len(rows)} holds a formula without a value (column 1)", "save it")
    refused(tmp_path, [[*head, ["=1", "=2", "=3"]]], "a formula without a value")


def test_merged_cells(tmp_path):
    def merge(book):
        book.active.merge_cells("A3:A4")

    refused(tmp_path, [[HEAD, [1, 2, 3], [2, 2, 3], [None, 4, 5]]], "row 3 lies in the merged cells A3:A4", edit=merge)
    title = sheet(tmp_path / "t.xlsx", [["Labels"], HEAD, [1, 2, 3]], edit=lambda b: b.active.merge_cells("A1:C1"))
    assert marks(title) == [[3, 1, 2, 3]]


def test_what_one_does_not_see(tmp_path):
    rows = [[*HEAD, "remark"], [1, 2, 3, "x"]]

    def hide_row(book):
        book.active.row_dimensions[2].hidden = True

    def hide_column(book):
        book.active.column_dimensions["B"].hidden = True

    def strike(book):
        book.active["A2"].font = Font(strike=True)

    def hide_remark(book):
        book.active.column_dimensions["D"].hidden = True

    refused(tmp_path, [rows], "row 2 is hidden", edit=hide_row)
    refused(tmp_path, [rows], "row 2 has a number in a hidden column", edit=hide_column)
    refused(tmp_path, [rows], "row 2 is struck out", edit=strike)
    assert marks(sheet(tmp_path / "a.xlsx", rows, edit=hide_remark)) == [[2, 1, 2, 3]]


def test_several_sheets(tmp_path):
    notes = [["Reader 1"], ["uncertain ones were left out"]]
    protocol = [["TE", 20, "ms"], ["TR", 27, 0.5], ["flip", 15]]
    assert marks(sheet(tmp_path / "a.xlsx", notes, [HEAD, [1, 2, 3]], protocol)) == [[2, 1, 2, 3]]
    assert marks(sheet(tmp_path / "b.xlsx", [HEAD], [[1, 2, 3]])) == [[1, 1, 2, 3]]
    refused(tmp_path, [[[1, 2, 3]], [], [HEAD, [1, 2, 3]]], "Sheet1, Sheet3 all hold rows")
    refused(tmp_path, [[[1, 2, 3]], protocol], "sheet Sheet2, row 1")

    def hide(book):
        book["Sheet2"].sheet_state = "hidden"

    refused(tmp_path, [[], [HEAD, [1, 2, 3]]], "sheet Sheet2 holds rows and is hidden", edit=hide)
    assert marks(sheet(tmp_path / "c.xlsx", [HEAD, [1, 2, 3]], notes, edit=hide)) == [[2, 1, 2, 3]]


@pytest.mark.parametrize("content", [b"", b"slice,x,y\n1,2,3\n", b"PK\x03\x04broken"])
def test_files_that_only_look_like_excel(tmp_path, content):
    (tmp_path / "a.xlsx").write_bytes(content)
    with pytest.raises(DataError, match=r"a\.xlsx: not a readable Excel file"):
        read_sheet(tmp_path / "a.xlsx")


def test_truncated_excel(tmp_path):
    path = sheet(tmp_path / "a.xlsx", [[1, 2, 3]])
    path.write_bytes(path.read_bytes()[:-500])
    with pytest.raises(DataError, match="not a readable Excel file"):
        read_sheet(path)


def test_old_excel_passwords_and_no_excel(tmp_path):
    (tmp_path / "a.xls").write_bytes(b"\xd0\xcf\x11\xe0")
    with pytest.raises(DataError, match=r"save it as \.xlsx"):
        read_sheet(tmp_path / "a.xls")
    (tmp_path / "p.xlsx").write_bytes(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600))
    with pytest.raises(DataError, match="without a password"):
        read_sheet(tmp_path / "p.xlsx")
    with pytest.raises(MissingError, match=r"b\.xlsx: not found"):
        read_sheet(tmp_path / "b.xlsx")


def test_a_file_that_unpacks_to_very_much(tmp_path):
    path = sheet(tmp_path / "a.xlsx", [[1, 2, 3]])
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("xl/worksheets/sheet9.xml", bytes(10_000_001))
    with pytest.raises(DataError, match="unpacks to 10,0"):
        read_sheet(path)


def test_a_cell_far_away(tmp_path):
    def far(book):
        book.active["XFD1048576"] = 1

    refused(tmp_path, [[HEAD, [1, 2, 3]]], "reaches to row 1048576, column 16384", edit=far)


@pytest.mark.parametrize("member", ["xl/worksheets/sheet1.xml", "xl/workbook.xml"])
def test_a_book_whose_sheet_is_none_is_not_an_empty_book(tmp_path, member):
    path = tmp_path / "01.xlsx"
    book = openpyxl.Workbook()
    book.active.append([5, 100, 120])
    book.save(path)
    with zipfile.ZipFile(path) as source:
        members = {name: source.read(name) for name in source.namelist()}
    with zipfile.ZipFile(path, "w") as target:
        for name, content in members.items():
            target.writestr(name, b"<x>nothing</x>" if name == member else content)
    with pytest.raises(DataError, match=r"01\.xlsx: "):
        read_sheet(path)


def test_messages_do_not_show_a_cell_for_ever(tmp_path):
    book = openpyxl.Workbook()
    book.active.append([5, "a" * 30_000, 120])
    book.save(tmp_path / "01.xlsx")
    with pytest.raises(DataError) as caught:
        read_sheet(tmp_path / "01.xlsx")
    assert len(str(caught.value)) < 1000


def test_a_book_that_lost_its_sheet_is_not_an_empty_book(tmp_path):
    path = tmp_path / "01.xlsx"
    book = openpyxl.Workbook()
    book.create_sheet("labels", 0).append([5, 100, 120])
    book.save(path)
    with zipfile.ZipFile(path) as source:
        members = {name: source.read(name) for name in source.namelist()}
    with zipfile.ZipFile(path, "w") as target:
        for name, content in members.items():
            if name != "xl/worksheets/sheet1.xml":
                target.writestr(name, content)
    with pytest.raises(DataError, match=r"01\.xlsx: .*sheet that it lists is not in it"):
        read_sheet(path)
