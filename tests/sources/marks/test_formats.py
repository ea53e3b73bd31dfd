"""Marks as programs and people write them: each format read as it says, and placed on the scan."""

import json
from contextlib import suppress

import nibabel as nib
import numpy as np
import openpyxl
import pandas as pd
import pytest
from grids import grids
from hypothesis import given, settings
from hypothesis import strategies as st
from nibabel.affines import apply_affine

from cmb_toolkit.errors import CmbError, MissingError, Problems
from cmb_toolkit.exports.labelmap import Labelmap
from cmb_toolkit.exports.points import Points
from cmb_toolkit.io.label_maps import read_lesions
from cmb_toolkit.io.marks import voxels_to_canonical
from cmb_toolkit.io.nifti import Grid
from cmb_toolkit.io.orient import canonical_grid
from cmb_toolkit.sources.base import Found, Scan
from cmb_toolkit.sources.marks.base import MarkOptions
from cmb_toolkit.sources.marks.gather import with_marks
from cmb_toolkit.sources.placing import placed

SHAPE = (30, 40, 10)
LPS = np.array([[-0.5, 0, 0, 7.0], [0, -0.6, 0, 9.0], [0, 0, 2.0, -8.0], [0, 0, 0, 1.0]])
POINTS = [(3, 4, 5), (20, 30, 2)]
"""Voxels along the axes of the file."""

SCHEMA = "https://raw.githubusercontent.com/slicer/slicer/master/Modules/Loadable/Markups/Resources/Schema/markups-schema-v1.0.3.json#"


def gathered(folder, marks=None, subjects=("sub-01",), grid=(SHAPE, LPS), **options):
    """What is made of files, and where the marks of each subject are."""
    given = tuple(folder / name for name in marks) if marks is not None else (folder,)
    scans = [
        Scan(subject, {}, {"magnitude": folder / "m.nii.gz", "phase": folder / "p.nii.gz"}) for subject in subjects
    ]
    found = with_marks(scans, MarkOptions(marks=given, **options), folder / "scans.tsv")
    both = {role: Grid(grid[0], grid[1], 1) for role in ("magnitude", "phase")}
    places = placed(Found(found.scans, found.wrong), dict.fromkeys(subjects, both), Problems())
    return found, {subject: sorted(map(tuple, voxels.tolist())) for subject, (voxels, _) in places.items()}


def on_canonical(voxels, grid=(SHAPE, LPS)):
    return sorted(map(tuple, voxels_to_canonical(voxels, *grid).tolist()))


def refused(folder, *marks, **options):
    with pytest.raises(CmbError) as caught:
        gathered(folder, marks, **options)
    assert "\n" not in str(caught.value).strip() or len(marks) > 1
    return str(caught.value)


def slicer(path, points, system="LPS", **changes):
    """As 3D Slicer 5 writes a list of points."""
    sign = {"RAS": (1, 1, 1), "LPS": (-1, -1, 1)}.get(system, (1, 1, 1))
    controls = [
        {
            "id": str(n),
            "label": f"MarkupsFiducial-{n}",
            "description": "",
            "associatedNodeID": "vtkMRMLScalarVolumeNode1",
            "position": (apply_affine(LPS, point) * sign).tolist(),
            "orientation": [-1.0, -0.0, -0.0, -0.0, -1.0, -0.0, 0.0, 0.0, 1.0],
            "selected": True,
            "locked": False,
            "visibility": True,
            "positionStatus": "defined",
        }
        for n, point in enumerate(points, 1)
    ]
    markup = {
        "type": "Fiducial",
        "coordinateSystem": system,
        "coordinateUnits": "mm",
        "locked": False,
        "labelFormat": "%N-%d",
        "controlPoints": controls,
        "measurements": [],
        "display": {"visibility": True, "glyphType": "Sphere3D"},
    } | changes
    path.write_text(json.dumps({"@schema": SCHEMA, "markups": [markup]}, indent=4), "utf-8")
    return markup


def fcsv(path, points, system="LPS", version="4.11"):
    """As 3D Slicer writes it; up to 4.10 with a number for the coordinate system."""
    sign = (-1, -1, 1) if system in ("LPS", "1") else (1, 1, 1)
    lines = [
        f"# Markups fiducial file version = {version}",
        f"# CoordinateSystem = {system}",
        "# columns = id,x,y,z,ow,ox,oy,oz,vis,sel,lock,label,desc,associatedNodeID",
    ]
    for n, point in enumerate(points):
        x, y, z = apply_affine(LPS, point) * sign
        lines.append(f'vtkMRMLMarkupsFiducialNode_{n},{x},{y},{z},0,0,0,1,1,1,0,"F, {n}",,vtkMRMLScalarVolumeNode1')
    path.write_text("\n".join(lines) + "\n", "utf-8")


def label_map(path, points, affine=LPS, shape=SHAPE, dtype=np.uint16, values=None):
    """As ITK-SNAP writes it: on the image's grid, a lesion of a few voxels around each point."""
    path.parent.mkdir(parents=True, exist_ok=True)
    data = np.zeros(shape, dtype)
    for n, (i, j, k) in enumerate(points):
        data[i - 1 : i + 2, j - 1 : j + 2, k] = values[n] if values else 1
    nib.save(nib.Nifti1Image(data, affine), path)


def excel(path, **sheets):
    book = openpyxl.Workbook()
    book.remove(book.active)
    for title, rows in sheets.items():
        page = book.create_sheet(title.replace("_", "-"))
        for row in rows:
            page.append(row)
    book.save(path)
    return path


# -- 3D Slicer ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("system", ["LPS", "RAS"])
def test_slicer_points_by_their_stated_coordinates(tmp_path, system):
    slicer(tmp_path / "sub-01.mrk.json", POINTS, system)
    found, places = gathered(tmp_path)
    assert places == {"sub-01": on_canonical(POINTS)}
    name = tmp_path / "sub-01.mrk.json"
    assert found.notes == [f"Marks: {name}: 3D Slicer points, {system}: 2 marks of 1 subject."]
    assert found.labels == [name]
    assert found.looked_at == {"sub-01"}


def test_slicer_points_that_do_not_say_so_are_lps_as_the_format_has_it(tmp_path):
    markup = slicer(tmp_path / "01_F.mrk.json", POINTS)
    for key in ("coordinateSystem", "coordinateUnits"):
        del markup[key]
    for point in markup["controlPoints"]:
        del point["positionStatus"], point["selected"]
    (tmp_path / "01_F.mrk.json").write_text(json.dumps({"markups": [markup, markup | {"controlPoints": []}]}), "utf-8")
    assert gathered(tmp_path)[1] == {"sub-01": on_canonical(POINTS)}


def test_slicer_points_that_are_not_placed_or_not_selected_are_left_out_and_counted(tmp_path):
    markup = slicer(tmp_path / "sub-01.mrk.json", [*POINTS, (9, 9, 9), (8, 8, 8), (7, 7, 7)])
    markup["controlPoints"][2] |= {"positionStatus": "undefined"}
    markup["controlPoints"][3] |= {"positionStatus": "preview"}
    markup["controlPoints"][4]["selected"] = False
    del markup["controlPoints"][2]["position"]
    (tmp_path / "sub-01.mrk.json").write_text(json.dumps({"markups": [markup]}), "utf-8")
    found, places = gathered(tmp_path)
    assert places == {"sub-01": on_canonical(POINTS)}
    assert "2 points not placed left out (sub-01)" in found.notes[0]
    assert "1 point not selected left out (sub-01)" in found.notes[0]


@pytest.mark.parametrize("system", ["LPS", "RAS", "0", "1"])
def test_fcsv_by_its_header(tmp_path, system):
    fcsv(tmp_path / "sub-01.fcsv", POINTS, system)
    found, places = gathered(tmp_path)
    assert places == {"sub-01": on_canonical(POINTS)}
    assert f"3D Slicer points, {'RAS' if system in ('RAS', '0') else 'LPS'}" in found.notes[0]


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("{", "not a JSON file"),
        ("[" * 100_000, "nested too deep"),
        ("[1, 2]", "holds no markups"),
        ('{"markups": []}', "holds no markups"),
        ('{"markups": [{"type": "Line"}]}', "kind 'Line'; expected points"),
        ('{"markups": [{"coordinateSystem": "IJK"}]}', "coordinateSystem is 'IJK'"),
        ('{"markups": [{"coordinateSystem": ["LPS"]}]}', "coordinateSystem is"),
        ('{"markups": [{"coordinateUnits": "um"}]}', "coordinateUnits are 'um'; expected mm"),
        ('{"markups": [{"controlPoints": 5}]}', "controlPoints are none"),
        ('{"markups": [{"controlPoints": [{"position": [1, 2, NaN]}]}]}', "point 1 has the position"),
        ('{"markups": [{"controlPoints": [{"position": [1, 2, 1e300]}]}]}', "point 1 has the position"),
        ('{"markups": [{"controlPoints": [{"position": [1, 2, true]}]}]}', "point 1 has the position"),
        ('{"markups": [{"controlPoints": [{"position": "1, 2, 3"}]}]}', "point 1 has the position"),
        ('{"markups": [{"controlPoints": [{}]}]}', "point 1 has the position"),
        ('{"markups": [{"controlPoints": [{"position": [%s, 2, 3]}]}]}' % ("9" * 5000), "not a JSON file"),
    ],
)
def test_hostile_slicer_files(tmp_path, content, told):
    (tmp_path / "sub-01.mrk.json").write_text(content, "utf-8")
    assert told in refused(tmp_path, "sub-01.mrk.json")


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("1,2,3,4\n", "does not say its CoordinateSystem"),
        ("# CoordinateSystem = IJK\n1,2,3,4\n", "CoordinateSystem 'IJK'"),
        ("# CoordinateSystem = 0\n# CoordinateSystem = 1\n", "CoordinateSystem '0, 1'"),
        ("# CoordinateSystem = LPS\n1,2,3\n", "line 2 has the position"),
        pytest.param(f"# CoordinateSystem = LPS\n{'x' * 200_000},2,3,4\n", "line 2 is no line of such", id="long"),
        ("# CoordinateSystem = LPS\n1,2,3,nan\n", "line 2 has the position"),
        ("# CoordinateSystem = LPS\n1,2,3,1e9\n", "line 2 has the position"),
    ],
)
def test_hostile_fcsv_files(tmp_path, content, told):
    (tmp_path / "sub-01.fcsv").write_text(content, "utf-8")
    assert told in refused(tmp_path, "sub-01.fcsv")


@pytest.mark.parametrize(("columns", "sign"), [("l,p,s", (-1, -1, 1)), ("r,a,s", (1, 1, 1))])
def test_the_table_that_slicer_exports(tmp_path, columns, sign):
    lines = [f"label,{columns},defined,selected,visible,locked,description"]
    for n, point in enumerate([*POINTS, (1, 1, 1), (2, 2, 2)]):
        x, y, z = apply_affine(LPS, point) * sign
        lines.append(f"F-{n},{x},{y},{z},{int(n != 2)},{int(n != 3)},1,0,")
    (tmp_path / "sub-01.csv").write_text("\n".join(lines), "utf-8")
    found, places = gathered(tmp_path)
    assert places == {"sub-01": on_canonical(POINTS)}
    assert f"3D Slicer points, {columns.upper().replace(',', '')}: 2 marks" in found.notes[0]
    assert "1 point not placed left out (sub-01); 1 point not selected left out (sub-01)" in found.notes[0]
    (tmp_path / "sub-01.csv").write_text(f"label,{columns}\nF,1,2,x\n", "utf-8")
    assert "line 2 holds" in refused(tmp_path, "sub-01.csv")


LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.sampled_from(["LPS", "Fiducial", "defined", "mm"])
KEYS = st.sampled_from(
    ["markups", "controlPoints", "position", "positionStatus", "selected", "type", "coordinateSystem"]
)
ANYTHING = st.recursive(LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner), max_leaves=8)


@given(ANYTHING, ANYTHING, ANYTHING)
@settings(max_examples=60, deadline=None)
def test_whatever_json_holds_is_taken_or_refused(tmp_path_factory, one, two, three):
    path = tmp_path_factory.mktemp("any") / "sub-01.mrk.json"
    for points in (one, [{"position": two, "positionStatus": three}], [one, {"position": [1, 2, 3], "selected": two}]):
        path.write_text(json.dumps({"markups": [{"controlPoints": points, "coordinateSystem": three}]}), "utf-8")
        with suppress(CmbError):
            gathered(path.parent)


# -- label maps ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int32, np.float64])
def test_components_of_a_label_map_are_lesions(tmp_path, dtype):
    label_map(tmp_path / "sub-01_labels.nii.gz", POINTS, dtype=dtype)
    found, places = gathered(tmp_path)
    assert places == {"sub-01": on_canonical(POINTS)}
    assert "label map, a lesion is a connected component: 2 marks" in found.notes[0]


def test_a_lesion_may_be_a_value(tmp_path):
    name = "sub-01.nii"
    label_map(tmp_path / name, [*POINTS, (12, 12, 4)], values=[1, 2, 2])
    assert len(gathered(tmp_path, [name])[1]["sub-01"]) == 3
    found, places = gathered(tmp_path, [name], label_map="value")
    assert len(places["sub-01"]) == 2
    assert "a lesion is the voxels of a value" in found.notes[0]


def test_touching_labels_are_two_lesions_and_corners_touch(tmp_path):
    data = np.zeros(SHAPE, np.uint8)
    data[4, 4, 4], data[5, 4, 4] = 1, 2
    data[10, 10, 5] = data[11, 11, 6] = 3
    nib.save(nib.Nifti1Image(data, LPS), tmp_path / "a.nii.gz")
    assert read_lesions(tmp_path / "a.nii.gz").values.tolist() == [1, 2, 3]


def test_a_lesion_is_marked_inside_itself(tmp_path):
    data = np.zeros(SHAPE, np.uint8)
    data[5:10, 5:10, 3] = 1
    data[6:9, 6:9, 3] = 0
    nib.save(nib.Nifti1Image(data, LPS), tmp_path / "ring.nii.gz")
    (centre,) = read_lesions(tmp_path / "ring.nii.gz").centres
    assert data[tuple(centre)]


def test_an_empty_label_map_says_that_somebody_looked(tmp_path):
    label_map(tmp_path / "sub-01.nii.gz", [])
    found, places = gathered(tmp_path)
    assert places == {}
    assert found.looked_at == {"sub-01"}


def test_a_label_map_on_another_grid(tmp_path):
    label_map(tmp_path / "sub-01.nii.gz", POINTS, affine=LPS @ np.diag([1, 1, 1.02, 1]))
    assert "corners lie up to" in refused(tmp_path, "sub-01.nii.gz")
    label_map(tmp_path / "sub-01.nii.gz", POINTS, shape=(30, 40, 9))
    assert "shapes 30 x 40 x 9 and 30 x 40 x 10 disagree" in refused(tmp_path, "sub-01.nii.gz")


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (np.random.default_rng(0).random(SHAPE, np.float32), "different values"),
        (-np.ones(SHAPE, np.int16), "is no label map"),
        (np.where(np.indices(SHAPE)[0] == 3, np.inf, 0).astype(np.float32), "infinite"),
        (np.arange(np.prod(SHAPE), dtype=np.int32).reshape(SHAPE), "labels, so it is no map of microbleeds"),
        (
            (
                np.indices((60, 60, 60)).sum(axis=0)
                % 2
                * (np.indices((60, 60, 60))[0] % 2)
                * (np.indices((60, 60, 60))[2] % 3 == 0)
            ).astype(np.uint8),
            "more than 2000 lesions",
        ),
        (np.ones((200, 20, 3), np.uint8), "reaches over more than 50 mm"),
        (np.zeros((*SHAPE, 2), np.uint8), "holds 2 volumes"),
    ],
)
def test_what_is_no_label_map(tmp_path, data, told):
    nib.save(nib.Nifti1Image(data, LPS), tmp_path / "sub-01.nii.gz")
    assert told in refused(tmp_path, "sub-01.nii.gz")


@given(grids(), st.data())
@settings(max_examples=40, deadline=None)
def test_a_label_map_leads_back_to_its_voxels_however_it_is_stored(tmp_path_factory, grid, data):
    """On any grid, oblique or not, and where the scan is stored in another order than the label map."""
    shape, affine = grid
    voxels = data.draw(st.lists(st.tuples(*(st.integers(0, n - 1) for n in shape)), max_size=4, unique=True))
    path = tmp_path_factory.mktemp("maps") / "sub-01.nii"
    labels = np.zeros(shape, np.int16)
    for n, voxel in enumerate(voxels, 1):
        labels[voxel] = n
    nib.save(nib.Nifti1Image(labels, affine), path)
    scan = canonical_grid(shape, affine)
    _, places = gathered(path.parent, [path.name], grid=scan)
    assert places.get("sub-01", []) == on_canonical(np.array(voxels, int).reshape(-1, 3), grid)


@given(grids(), st.data(), st.sampled_from(["LPS", "RAS"]))
@settings(max_examples=40, deadline=None)
def test_slicer_points_lead_back_to_their_voxels(tmp_path_factory, grid, data, system):
    shape, affine = grid
    voxels = data.draw(st.lists(st.tuples(*(st.integers(0, n - 1) for n in shape)), max_size=4, unique=True))
    sign = (-1, -1, 1) if system == "LPS" else (1, 1, 1)
    points = [{"position": (apply_affine(affine, voxel) * sign).tolist()} for voxel in voxels]
    path = tmp_path_factory.mktemp("points") / "sub-01.mrk.json"
    path.write_text(json.dumps({"markups": [{"coordinateSystem": system, "controlPoints": points}]}), "utf-8")
    _, places = gathered(path.parent, grid=grid)
    assert places.get("sub-01", []) == on_canonical(np.array(voxels, int).reshape(-1, 3), grid)


@pytest.mark.parametrize(("name", "kind"), [("sub-01.mrk.json", Points), ("sub-01.nii.gz", Labelmap)])
def test_what_is_exported_is_read_back(tmp_path, name, kind):
    """Findings as `cmbtk export` writes them."""
    nib.save(nib.Nifti1Image(np.zeros(SHAPE, np.int16), LPS), tmp_path / "like.nii.gz")
    canonical = on_canonical(POINTS)
    affine = canonical_grid(SHAPE, LPS)[1]
    findings = pd.DataFrame(canonical, columns=["i", "j", "k"])
    findings[["x_mm", "y_mm", "z_mm"]] = apply_affine(affine, findings.to_numpy())
    findings = findings.assign(id=[1, 2], candidate_id=["sub-01_cand-1", "sub-01_cand-2"], probability=0.9, kept=True)
    kind().write(findings, tmp_path / "like.nii.gz", tmp_path / name)
    assert gathered(tmp_path, [name])[1] == {"sub-01": canonical}


# -- Excel and text -----------------------------------------------------------------------------------------------

HEAD = ["Subject ID", "reader", "i", "j", "k"]


def test_one_sheet_of_all_subjects(tmp_path):
    rows = [["Marks of 2024"], HEAD, ["01", "A", 3, 4, 5], [2, "A", 20.0, 30, "2"], [None, "total: 2"]]
    excel(tmp_path / "marks.xlsx", Marks=rows, Notes=[["nothing"]])
    found, places = gathered(tmp_path, ["marks.xlsx"], ["sub-01", "sub-002"])
    assert places == {"sub-01": on_canonical(POINTS[:1]), "sub-002": on_canonical(POINTS[1:])}
    assert "Excel, one sheet of all subjects, voxels i, j, k counted from 0: 2 marks of 2 subjects." in found.notes[0]
    assert found.tables == {"marks": tmp_path / "marks.xlsx"}


def test_a_sheet_a_subject(tmp_path):
    sheets = {
        "01": [["slice", "x", "y"], [6, 4, 5]],
        "P_2": [["Slice", "X (column)", "Y (row)"], [3, 21, 31]],
        "03": [],
    }
    excel(tmp_path / "marks.xlsx", **sheets, Notes=[["slices counted from 1"]])
    found, places = gathered(tmp_path, ["marks.xlsx"], ["sub-01", "sub-2", "sub-3", "sub-4"], label_base=1)
    assert places == {"sub-01": on_canonical(POINTS[:1]), "sub-2": on_canonical(POINTS[1:])}
    assert "Excel, a sheet a subject, voxels slice, x, y counted from 1" in found.notes[0]
    assert found.looked_at == {"sub-01", "sub-2", "sub-3"}
    excel(tmp_path / "marks.xlsx", **sheets, KIM=[["slice", "x", "y"], [6, 4, 5]])
    assert "sheet KIM holds marks, and is called after no subject" in refused(
        tmp_path, "marks.xlsx", subjects=["sub-01", "sub-2", "sub-3"]
    )


def test_only_one_of_the_sheets_holds_marks(tmp_path):
    rows = [["i", "j", "k"], POINTS[0]]
    excel(tmp_path / "marks.xlsx", **{"01": [], "02": rows, "03": [], "Sheet 4": []})
    subjects = [f"sub-0{n}" for n in range(1, 5)]
    found, places = gathered(tmp_path, ["marks.xlsx"], subjects)
    assert places == {"sub-02": on_canonical(POINTS[:1])}
    assert found.looked_at == {"sub-01", "sub-02", "sub-03"}
    excel(tmp_path / "marks.xlsx", **{"01": [], "02": []})
    assert gathered(tmp_path, ["marks.xlsx"], subjects)[0].looked_at == {"sub-01", "sub-02"}
    excel(tmp_path / "sub-04.xlsx", **{"Sheet 1": rows, "Sheet 2": []})
    assert gathered(tmp_path, ["sub-04.xlsx"], subjects)[1] == {"sub-04": on_canonical(POINTS[:1])}
    excel(tmp_path / "sub-04.xlsx", **{"01": rows})
    assert "is of sub-04, and its sheet is called after sub-01" in refused(tmp_path, "sub-04.xlsx", subjects=subjects)


def test_a_file_of_one_subject_and_x_and_y_counted_otherwise(tmp_path):
    excel(tmp_path / "sub-01.xlsx", Sheet1=[["x (mm)", "y (mm)", "z (mm)"], apply_affine(LPS, POINTS[0]).tolist()])
    assert gathered(tmp_path, ["sub-01.xlsx"])[1] == {"sub-01": on_canonical(POINTS[:1])}
    excel(tmp_path / "sub-01.xlsx", Sheet1=[["slice", "x", "y"], [5, 4, 3]])
    assert gathered(tmp_path, ["sub-01.xlsx"], label_axes="array")[1] == {"sub-01": on_canonical(POINTS[:1])}


def test_sessions_in_a_sheet(tmp_path):
    """Of patients who were scanned once the session may be empty."""
    rows = [["Patient", "Session", "i", "j", "k"], [1, 1, *POINTS[0]], [1, 2, *POINTS[1]], [2, None, *POINTS[0]]]
    excel(tmp_path / "marks.xlsx", Marks=rows)
    subjects = ["sub-01_ses-1", "sub-01_ses-2", "sub-02"]
    one, two = on_canonical(POINTS[:1]), on_canonical(POINTS[1:])
    assert gathered(tmp_path, ["marks.xlsx"], subjects)[1] == dict(zip(subjects, (one, two, one), strict=True))
    excel(tmp_path / "marks.xlsx", **{"01_ses-2": [rows[0][2:], POINTS[0]], "2": [rows[0][2:], POINTS[1]]})
    assert gathered(tmp_path, ["marks.xlsx"], subjects)[1] == {"sub-01_ses-2": one, "sub-02": two}
    excel(tmp_path / "marks.xlsx", Marks=[rows[0], [1, None, *POINTS[0]]])
    assert "has several scans" in refused(tmp_path, "marks.xlsx", subjects=subjects)


def test_excel_that_cannot_be_understood(tmp_path):
    for rows, told in (
        ([[1, 2, 3]], "row 1 holds numbers without headings"),
        ([HEAD, ["01", "A", 3, 4, 5.5]], "row 2: k is '5.5'; expected a whole number"),
        ([HEAD, ["01", "A", 3, 4, None]], "row 2 holds 01, 3, 4, n/a; expected"),
        ([HEAD, [None, "A", 3, 4, 5]], "row 2 holds n/a, 3, 4, 5; expected a participant_id"),
        ([HEAD, ["01", "A", "=1+2", 4, 5]], "row 2 holds a formula without a value"),
        ([["lesions", "many"]], "has no headings"),
        ([HEAD, ["77", "A", 3, 4, 5]], "marks of sub-77, who is not in scans.tsv"),
    ):
        excel(tmp_path / "m.xlsx", Sheet1=rows)
        assert told in refused(tmp_path, "m.xlsx")
    excel(tmp_path / "m.xlsx", **{"01": [["no microbleed"]], "02": [["i", "j", "k"], [1, 2, 3]]})
    assert "sheet 01 holds no headings and no marks. Leave it empty" in refused(
        tmp_path, "m.xlsx", subjects=["sub-01", "sub-02"]
    )


@pytest.mark.parametrize("sign", [",", ";", "\t"])
def test_text_between_whose_cells_stands_another_sign(tmp_path, sign):
    lines = [["Patient", "x_mm", "y_mm", "z_mm"], *(["01", *apply_affine(LPS, point)] for point in POINTS)]
    text = "\r\n".join(sign.join(map(str, cells)) for cells in lines)
    (tmp_path / "marks.csv").write_text(f"\ufeff{text}", "utf-8")
    assert gathered(tmp_path)[1] == {"sub-01": on_canonical(POINTS)}


def test_a_decimal_comma(tmp_path):
    (tmp_path / "marks.csv").write_text("participant_id;x_mm;y_mm;z_mm\n01;1,5;2;3\n", "utf-8")
    assert "x_mm is '1,5'; expected a number with a decimal point" in refused(tmp_path, "marks.csv")


# -- whose they are -----------------------------------------------------------------------------------------------


def test_formats_beside_each_other_in_a_folder(tmp_path):
    (tmp_path / "marks" / "sub-03" / "ses-2").mkdir(parents=True)
    slicer(tmp_path / "marks" / "P1_points.mrk.json", POINTS)
    fcsv(tmp_path / "marks" / "p2.fcsv", POINTS)
    label_map(tmp_path / "marks" / "sub-03" / "ses-2" / "lesions.nii.gz", POINTS)
    (tmp_path / "marks" / "rest.tsv").write_text("participant_id\ti\tj\tk\n4\t3\t4\t5\n", "utf-8")
    (tmp_path / "marks" / "participants.tsv").write_text("participant_id\tage\n4\t70\n", "utf-8")
    (tmp_path / "marks" / "._P1_points.mrk.json").write_text("{", "utf-8")
    (tmp_path / "marks" / "readme.pdf").write_text("", "utf-8")
    (tmp_path / "marks" / "labels.txt").write_text(f"{'#' * 48}\n# ITK-SnAP Label Description File\n", "utf-8")
    subjects = ["sub-P1", "sub-P2", "sub-03_ses-1", "sub-03_ses-2", "sub-4"]
    found, places = gathered(tmp_path, ["marks"], subjects)
    assert places == {
        **dict.fromkeys(("sub-P1", "sub-P2", "sub-03_ses-2"), on_canonical(POINTS)),
        "sub-4": on_canonical(POINTS[:1]),
    }
    assert len(found.notes) == 3
    nib.save(nib.Nifti1Image(np.random.default_rng(0).random(SHAPE), LPS), tmp_path / "marks" / "sub-03" / "swi.nii.gz")
    with pytest.raises(CmbError, match=r"is no label map.*\nOf a folder every file is read"):
        gathered(tmp_path, ["marks"], subjects)


def test_a_pattern_takes_label_maps_that_lie_beside_images(tmp_path):
    """As those of VALDO do."""
    for subject in ("sub-01", "sub-02"):
        (tmp_path / "valdo" / subject).mkdir(parents=True)
        label_map(tmp_path / "valdo" / subject / f"{subject}_space-T2S_CMB.nii.gz", POINTS, dtype=np.float64)
        image = np.random.default_rng(0).random(SHAPE)
        nib.save(nib.Nifti1Image(image, LPS), tmp_path / "valdo" / subject / f"{subject}_space-T2S_T2S.nii.gz")
    subjects = ["sub-01", "sub-02"]
    found, places = gathered(tmp_path, ["valdo/*/*_CMB.nii.gz"], subjects)
    assert places == dict.fromkeys(subjects, on_canonical(POINTS))
    assert "2 files: label map" in found.notes[0]
    assert "no file fits it" in refused(tmp_path, "valdo/*/*_cmb.xlsx")
    label_map(tmp_path / "01[1].nii.gz", POINTS)
    assert gathered(tmp_path, ["01[1].nii.gz"])[1] == {"sub-01": on_canonical(POINTS)}, "a name, and no pattern"


def test_a_derivative_of_ours(tmp_path):
    label_map(tmp_path / "sub-01" / "anat" / "sub-01_desc-cmb_dseg.nii.gz", POINTS, values=[1, 2])
    (tmp_path / "sub-01" / "anat" / "sub-01_desc-cmb_dseg.tsv").write_text("index\tname\n1\tmicrobleed 1\n", "utf-8")
    image = np.random.default_rng(0).random(SHAPE)
    nib.save(nib.Nifti1Image(image, LPS), tmp_path / "sub-01" / "anat" / "sub-01_label-cmb_probseg.nii.gz")
    assert gathered(tmp_path)[1] == {"sub-01": on_canonical(POINTS)}


@pytest.mark.parametrize(
    ("name", "subjects", "told"),
    [
        ("somebody.fcsv", ["sub-01"], "whose marks these are is not known"),
        ("01_02.fcsv", ["sub-01", "sub-02"], "its name may mean sub-01, sub-02"),
        ("sub-01.fcsv", ["sub-01_ses-1", "sub-01_ses-2"], "its name may mean sub-01_ses-1, sub-01_ses-2"),
        ("sub-9.fcsv", ["sub-01"], "whose marks these are is not known"),
        ("01.json", ["sub-01"], "no kind of file that marks are read from"),
        ("01.seg.nrrd", ["sub-01"], "no kind of file that marks are read from"),
    ],
)
def test_files_of_nobody_or_of_several(tmp_path, name, subjects, told):
    fcsv(tmp_path / name, POINTS)
    assert told in refused(tmp_path, name, subjects=subjects)


def test_what_is_not_there(tmp_path):
    (tmp_path / "empty").mkdir()
    for name in ("sub-01.fcsv", "sub-01.xyz", "sub-01.tsv", "sub-01.mrk.json", "sub-01.xlsx", "sub-01.nii", "empty"):
        with pytest.raises(MissingError):
            gathered(tmp_path, [name])


def test_two_files_of_one_subject(tmp_path):
    slicer(tmp_path / "sub-01.mrk.json", POINTS)
    fcsv(tmp_path / "sub-01.fcsv", POINTS)
    assert "both hold marks of sub-01. Put them into one file" in refused(tmp_path, "sub-01.mrk.json", "sub-01.fcsv")


def test_a_table_without_subjects_is_of_the_one_it_is_called_after(tmp_path):
    (tmp_path / "sub-01_marks.csv").write_text("i,j,k\n3,4,5\n20,30,2\n", "utf-8")
    assert gathered(tmp_path)[1] == {"sub-01": on_canonical(POINTS)}
    (tmp_path / "sub-01_marks.csv").rename(tmp_path / "marks.csv")
    assert "add a column participant_id" in refused(tmp_path, "marks.csv")


def test_large_files_are_not_read(tmp_path):
    with (tmp_path / "sub-01.mrk.json").open("wb") as file:
        file.truncate(1 << 30)
    assert "at most 16,777,216 are expected" in refused(tmp_path, "sub-01.mrk.json")
    (tmp_path / "sub-01.mrk.json").rename(tmp_path / "sub-01.fcsv")
    assert "at most 16,777,216 are expected" in refused(tmp_path, "sub-01.fcsv")
