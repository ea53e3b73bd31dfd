"""Findings go to readers in every form, and come back from each of them as what was said."""

import json
import re

import nibabel as nib
import numpy as np
import openpyxl
import pytest
from detected import OBLIQUE, PLACES, SHAPE, detected
from nibabel.affines import apply_affine

from cmb_toolkit.errors import DataError, MissingError, UsageError
from cmb_toolkit.io.tables import read_tsv
from cmb_toolkit.review.layout import Review
from cmb_toolkit.steps.review_read import review_read
from cmb_toolkit.steps.review_write import review_write

NEW = apply_affine(OBLIQUE, (50.0, 10, 15))
"""A microbleed of sub-01 that was missed."""


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    return detected(tmp_path_factory.mktemp("detected") / "results")


@pytest.fixture
def review(results, tmp_path):
    return review_write(results, tmp_path / "review")


def rejected_and_missed(summary, places=None):
    """What the test's reader says in every form: finding 2 of sub-01 is none, and one was missed there."""
    table = summary.agreed[summary.agreed["participant_id"] == "sub-01"].set_index("id")
    assert table["verdict"].to_dict() == {1: "yes", 2: "no", 3: "yes", 4: "yes"}
    assert table["added"].to_dict() == {1: "no", 2: "no", 3: "no", 4: "yes"}
    assert np.allclose(table.loc[[1, 3], ["x_mm", "y_mm", "z_mm"]], PLACES["sub-01"][[0, 2]], atol=0.01)
    away = np.linalg.norm(table.loc[4, ["x_mm", "y_mm", "z_mm"]].to_numpy(float) - NEW)
    assert away < 1.5  # a label map has whole voxels of 2 mm
    scans = summary.scans.set_index("participant_id")
    assert scans.loc["sub-01", ["reviewed", "findings", "yes", "no", "new"]].tolist() == ["yes", 3, 2, 1, 1]
    return table


def filled_in(review, between="\t", number=str):
    lines = review.asked.read_text("utf-8").splitlines()
    rows = [line.split("\t") for line in lines]
    head = {name: n for n, name in enumerate(rows[0])}
    for row in rows[1:]:
        if row[0] == "sub-01":
            row[head["verdict"]], row[head["mimic"]] = ("no", "Vessel") if row[head["id"]] == "2" else ("yes", "")
    place = dict(zip(("x_mm", "y_mm", "z_mm"), NEW, strict=True))
    rows.append([{"participant_id": "1", "reader": ""}.get(name, f"{place.get(name, '')}") for name in rows[0]])
    cells = [[number(cell) for cell in row] for row in rows]
    return "".join(between.join(row) + "\n" for row in cells)


def test_a_table_comes_back_from_a_spreadsheet(review, tmp_path):
    path = tmp_path / "back.csv"
    path.write_text("\ufeff" + filled_in(review, ";"), "utf-8")
    table = rejected_and_missed(review_read(review.folder, [path], "ab"))
    assert table.loc[2, "mimic"] == "vein"
    assert read_tsv(review.folder / "round-01.tsv")["reader"].unique().tolist() == ["ab"]


def test_decimal_commas_are_refused_with_a_word(review, tmp_path):
    path = tmp_path / "back.csv"
    path.write_text(filled_in(review, ";", lambda cell: re.sub(r"(\d)\.(\d)", r"\1,\2", cell)), "utf-8")
    with pytest.raises(DataError, match=r"line 2 has x_mm .*expected a number with a decimal point"):
        review_read(review.folder, [path])
    assert not review.rounds()


def test_the_sheet_comes_back_filled_in(review, tmp_path):
    book = openpyxl.load_workbook(review.handed_out / "findings.xlsx")
    sheet = book["MCH-microhemorrage"]
    head = {cell.value: cell.column for cell in sheet[1]}
    for row in range(2, 5):
        sheet.cell(row, head["verify (yes=1)"], int(sheet.cell(row, head["id"]).value != 2))
    sheet.append(["sub-01", *NEW.tolist(), 1])
    book.save(tmp_path / "back.xlsx")
    summary = review_read(review.folder, [tmp_path / "back.xlsx"])
    rejected_and_missed(summary)
    assert summary.scans.set_index("participant_id")["reviewed"].to_dict()["sub-02"] == "no"


def test_the_viewer_s_export_comes_back(review, tmp_path):
    book = openpyxl.Workbook()
    targets = book.active
    targets.title = "findings"
    targets.append(["case_id", "target_id", "origin", "ras_l", "ras_p", "ras_s"])
    for row, place in enumerate(PLACES["sub-01"].tolist(), 2):
        targets.append(["sub-01", f"source:{row}", "Source", *place])
    targets.append(["sub-01", "manual:ab:1", "Manual", *NEW.tolist()])
    reports = book.create_sheet("reader_reports")
    reports.append(
        ["case_id", "target_id", "reader_id", "review_round", "verify", "comment", "ras_l", "ras_p", "ras_s", "mimic"]
    )
    reports.append(["sub-01", "source:2", "ab", 1, 1])
    reports.append(["sub-01", "source:3", "ab", 1, 1])
    reports.append(["sub-01", "source:3", "ab", 2, 0, None, None, None, None, "vessel"])
    reports.append(["sub-01", "source:4", "ab", 1, 1])
    reports.append(["sub-01", "manual:ab:1", "ab", 1, 1, "small one"])
    reports.append(["sub-02", "source:5", "ab", 1, None, "looked at later"])
    book.save(tmp_path / "export.xlsx")
    summary = review_read(review.folder, [tmp_path / "export.xlsx"])
    assert rejected_and_missed(summary).loc[2, "mimic"] == "vein"
    assert set(summary.words["reader"]) == {"ab"}
    assert not summary.unmatched


@pytest.mark.parametrize("system", ["LPS", "RAS"])
def test_points_of_slicer_come_back(review, tmp_path, system):
    content = json.loads((review.handed_out / "sub-01.mrk.json").read_text("utf-8"))
    (one,) = content["markups"]
    kept = [point for point in one["controlPoints"] if point["label"] != "2"]
    new = {"label": "F-1", "position": [-NEW[0], -NEW[1], NEW[2]], "positionStatus": "defined"}
    unplaced = {"label": "F-2", "position": [0, 0, 0], "positionStatus": "undefined"}
    one["controlPoints"] = [new, *kept, unplaced]
    if system == "RAS":
        one["coordinateSystem"] = "RAS"
        for point in one["controlPoints"]:
            x, y, z = point["position"]
            point["position"] = [-x, -y, z]
    (tmp_path / "sub-01.mrk.json").write_text(json.dumps(content), "utf-8")
    rejected_and_missed(review_read(review.folder, [tmp_path / "sub-01.mrk.json"]))


def test_a_description_may_say_more(review, tmp_path):
    content = json.loads((review.handed_out / "sub-01.mrk.json").read_text("utf-8"))
    points = content["markups"][0]["controlPoints"]
    points[0]["description"], points[1]["selected"] = "No: iron", False
    points[2]["positionStatus"] = "undefined"
    (tmp_path / "sub-01.mrk.json").write_text(json.dumps(content), "utf-8")
    summary = review_read(review.folder, [tmp_path / "sub-01.mrk.json"])
    table = summary.agreed[summary.agreed["participant_id"] == "sub-01"].set_index("id")
    assert table["mimic"].to_dict()[1] == "mineral"
    assert table["verdict"].fillna("").to_dict() == {1: "no", 2: "no", 3: ""}


@pytest.mark.parametrize(("system", "turn"), [("0", 1), ("LPS", -1)])
def test_old_points_of_slicer_come_back_by_their_header(review, tmp_path, system, turn):
    lines = [
        f"# CoordinateSystem = {system}",
        "# columns = id,x,y,z,ow,ox,oy,oz,vis,sel,lock,label,desc,associatedNodeID",
    ]
    for label, (x, y, z) in (("1", PLACES["sub-01"][0]), ("3", PLACES["sub-01"][2]), ("F-7", NEW)):
        lines.append(f"vtk_{label},{turn * x},{turn * y},{z},0,0,0,1,1,1,0,{label},,")
    (tmp_path / "sub-01.fcsv").write_text("\n".join(lines) + "\n", "utf-8")
    rejected_and_missed(review_read(review.folder, [tmp_path / "sub-01.fcsv"]))


@pytest.mark.parametrize("value", [9, 1])
def test_a_label_map_comes_back(review, tmp_path, value):
    image = nib.load(review.handed_out / "sub-01.nii.gz")
    labels = np.asarray(image.dataobj).copy()
    labels[labels == 2] = 0
    i, j, k = np.rint(apply_affine(np.linalg.inv(image.affine), NEW)).astype(int)
    labels[i - 1 : i + 2, j - 1 : j + 2, k] = value
    (back := tmp_path / "back").mkdir()
    nib.save(nib.Nifti1Image(labels, image.affine), back / "sub-01.nii.gz")
    (back / "sub-01_labels.txt").write_text((review.handed_out / "sub-01_labels.txt").read_text("utf-8"), "utf-8")
    rejected_and_missed(review_read(review.folder, [back]))


def test_all_that_was_handed_out_comes_back_untouched_as_yes(review, tmp_path):
    for ending in (".mrk.json", ".nii.gz"):
        back = tmp_path / ending.replace(".", "")
        back.mkdir()
        for path in review.handed_out.glob(f"*{ending}"):
            (back / path.name).write_bytes(path.read_bytes())
        summary = review_read(review.folder, [back], f"r{len(ending)}")
    assert (summary.agreed["verdict"] == "yes").all()
    assert (summary.agreed["added"] == "no").all()
    assert (summary.words.loc[summary.words["id"] > 0, "moved_mm"] < 2).all()
    # the scan without findings was read as well
    assert summary.scans.set_index("participant_id")["reviewed"].to_dict() == dict.fromkeys(PLACES, "yes")


def test_one_value_that_is_left_keeps_its_name(review, tmp_path):
    image = nib.load(review.handed_out / "sub-01.nii.gz")
    labels = np.where(np.asarray(image.dataobj) == 3, 3, 0).astype(np.int16)
    nib.save(nib.Nifti1Image(labels, image.affine), tmp_path / "sub-01.nii.gz")
    summary = review_read(review.folder, [tmp_path / "sub-01.nii.gz"])
    mine = summary.agreed[summary.agreed["participant_id"] == "sub-01"]
    assert mine.set_index("id")["verdict"].to_dict() == {1: "no", 2: "no", 3: "yes"}


def test_rounds_are_added_to_and_the_same_files_are_one(review, tmp_path, typed):
    path = tmp_path / "back.tsv"
    path.write_text(filled_in(review), "utf-8")
    said = typed("review", "read", review.folder, path, "--reader", "ab")
    first = (review.folder / "round-01.tsv").read_bytes()
    assert "nothing is added" in typed("review", "read", review.folder, path, "--reader", "ab")
    said = typed("review", "read", review.folder, review.handed_out / "sub-01.nii.gz", "--reader", "cd")
    assert [path.name for path in review.rounds()] == ["round-01.tsv", "round-02.tsv"]
    assert (review.folder / "round-01.tsv").read_bytes() == first
    assert max(map(len, said.splitlines()[:-2])) <= 80
    assert re.search(r"ab and cd +3 +67 % +0\.00", said)
    agreed = read_tsv(review.findings).set_index(["participant_id", "id"])["verdict"]
    # one says yes, the other no; and what one added the other left out
    assert agreed.loc[("sub-01", 2)] == agreed.loc[("sub-01", 4)] == "unsure"
    assert read_tsv(review.microbleeds)["participant_id"].tolist() == ["sub-01", "sub-01"]


def test_a_line_without_id_and_place_says_that_there_is_none(review, tmp_path):
    (tmp_path / "back.tsv").write_text("participant_id\tverdict\nsub-03\tno\n", "utf-8")
    summary = review_read(review.folder, [tmp_path / "back.tsv"])
    assert summary.scans.set_index("participant_id")["reviewed"].to_dict()["sub-03"] == "yes"
    assert (summary.agreed["id"] > 0).all()


def test_what_is_about_nothing_known_is_listed(review, tmp_path):
    (tmp_path / "back.tsv").write_text(
        "participant_id\tid\tverdict\nsub-01\t1\tyes\nsub-01\t77\tno\nsub-02\t\tno\n", "utf-8"
    )
    summary = review_read(review.folder, [tmp_path / "back.tsv"])
    assert [line.split(": ", 1)[1] for line in summary.unmatched] == ["line 3: id 77 is no finding of sub-01 (no)"]


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("a.tsv", "participant_id\tid\tverdict\nsub-01\t1\tperhaps\n", "verdict 'perhaps'; expected yes, no, unsure"),
        ("a.tsv", "participant_id\tid\tverdict\nsub-01\t1.5\tyes\n", "expected a whole number from 1"),
        ("a.tsv", "participant_id\tid\tverdict\nsub-09\t1\tyes\n", "sub-09, who is not in the review"),
        ("a.tsv", "participant_id\tid\tverdict\nsub-01\t1\tyes\nsub-01\t1\tno\n", "a second time"),
        ("a.tsv", "participant_id\tid\tverdict\treader\nsub-01\t1\tyes\t../x\n", "the reader '../x'"),
        ("a.tsv", "participant_id\tid\tverdict\nsub-01\t1\t\n", "say nothing of what was handed out"),
        ("a.tsv", "participant_id\tx_mm\ty_mm\tz_mm\nsub-01\t1\t2\t3\n", "has no column verdict"),
        ("a.seg.nrrd", "NRRD0004", "Export the segmentation as a NIfTI label map"),
        ("a.mps", "<points/>", "3D Slicer as .mrk.json"),
        ("a.mrk.json", '{"markups": [{"controlPoints": []}]}', "which scan it is of is not known"),
    ],
)
def test_what_cannot_be_right_is_refused_with_what_to_do(review, tmp_path, name, content, says):
    (tmp_path / name).write_text(content, "utf-8")
    with pytest.raises(DataError, match=re.escape(says)):
        review_read(review.folder, [tmp_path / name])
    assert not review.rounds()


def test_a_label_map_on_other_voxels_is_refused(review, tmp_path):
    nib.save(nib.Nifti1Image(np.ones((4, 4, 4), np.int16), np.eye(4)), tmp_path / "sub-01.nii.gz")
    with pytest.raises(DataError, match="is no label map of this scan: shapes 60 x 70 x 20"):
        review_read(review.folder, [tmp_path / "sub-01.nii.gz"])


def test_what_was_handed_out_is_not_replaced(review, results, tmp_path):
    mine = review.asked
    mine.write_text(filled_in(review), "utf-8")
    assert review_write(results, review.folder) == review
    assert "Vessel" in mine.read_text("utf-8")
    other = detected(tmp_path / "other", {"sub-01": PLACES["sub-01"][:1]})
    with pytest.raises(UsageError, match="other findings"):
        review_write(other, review.folder)
    with pytest.raises(MissingError, match="holds no review"):
        review_read(tmp_path / "nothing", [mine])


def test_one_scan_alone_is_handed_out_as_well(results, tmp_path, typed):
    said = typed("review", "write", results / "sub-02", "-o", tmp_path / "review")
    assert "2 findings of 1 scan" in said
    back = tmp_path / "whatever.nii.gz"  # of one scan the name need not say which
    back.write_bytes((tmp_path / "review" / "handed-out" / "sub-02.nii.gz").read_bytes())
    assert "1 of 1 scan reviewed" in typed("review", "read", tmp_path / "review", back)
    assert Review.opened(tmp_path / "review").rounds()
    assert nib.load(back).shape == SHAPE
