"""`cmbtk export`: files of findings on the scans as they were imported."""

import json
from importlib import import_module

import nibabel as nib
import numpy as np
import pytest
from click.testing import CliRunner

from cmb_toolkit.errors import DataError, MissingError, UsageError
from cmb_toolkit.exports.labelmap import Labelmap
from cmb_toolkit.exports.points import Points
from cmb_toolkit.exports.registry import EXPORTS
from cmb_toolkit.io.publish import read_record
from cmb_toolkit.io.tables import read_tsv, write_tsv
from cmb_toolkit.registry import load
from cmb_toolkit.steps.export import export


def quiet(done, total, what):
    pass


@pytest.fixture
def cell(classified_study):
    """The cell of a study whose scans are stored along other axes than the canonical ones."""
    study = classified_study
    people = read_tsv(study.participants)
    orders = dict(zip(people["participant_id"], ("LPS", "RAS", "ALS", "LAS", "RAS", "RAS"), strict=True))
    for subject in ("sub-001", "sub-002", "sub-003", "sub-004"):
        turn = nib.orientations.ornt_transform(*map(nib.orientations.axcodes2ornt, ("RAS", orders[subject])))
        image = nib.load(study.swi(subject)).as_reoriented(turn)
        for kind in ("mag", "pha"):
            (study.scans / subject).mkdir(parents=True, exist_ok=True)
            nib.save(image, study.scans / subject / f"{kind}.nii.gz")
    names = people["participant_id"]
    people = people.assign(**{kind: "scans/" + names + f"/{kind[:3]}.nii.gz" for kind in ("magnitude", "phase")})
    write_tsv(people.replace({"phase": r"/pha\.nii"}, {"phase": "/pha.nii"}, regex=True), study.participants)
    return study.cell("slab", "swi+cphase-averaged", "1")


def labels(path):
    image = nib.load(path)
    return image, np.asarray(image.dataobj)


def test_label_maps_lie_on_the_scans_and_their_ids_are_the_table_s(cell, classified_study, tmp_path):
    out = export(cell.folder, Labelmap(radius=1.0), tmp_path / "out", on_progress=quiet)
    findings = read_tsv(cell.findings)
    for subject, kept in (("sub-001", 2), ("sub-002", 2), ("sub-003", 0)):
        table = read_tsv(out / f"{subject}_findings.tsv")
        assert table["id"].tolist() == list(range(1, kept + 1))
        assert table["probability"].tolist() == sorted(table["probability"], reverse=True)
        image, values = labels(out / f"{subject}_labelmap.nii.gz")
        scan = nib.load(classified_study.scans / subject / "mag.nii.gz")
        assert image.shape == scan.shape
        assert np.allclose(image.affine, scan.affine)
        assert set(np.unique(values)) == set(range(kept + 1))
        canonical = np.asarray(nib.as_closest_canonical(image).dataobj)
        for row in table.to_dict("records"):
            place = findings[findings["candidate_id"] == row["candidate_id"]][["i", "j", "k"]].to_numpy(int)[0]
            assert canonical[tuple(place)] == row["id"]
    record = read_record(out / "sub-001_labelmap.nii.gz")
    assert record["parameters"] == {"to": "labelmap", "subject": "sub-001", "role": "test", "all": False, "radius": 1.0}
    assert [source["role"] for source in record["sources"]] == ["findings", "scan"]
    assert read_record(out / "sub-001_findings.tsv")["columns"]["id"]
    assert not (out / "sub-004_findings.tsv").exists()


def test_candidates_that_were_not_kept_and_controls(cell, tmp_path):
    kept = export(cell.folder, Points(), tmp_path / "kept", on_progress=quiet)
    every = export(cell.folder, Points(all=True), tmp_path / "all", on_progress=quiet)
    few, many = ((f / "sub-001_points.mrk.json").read_text() for f in (kept, every))
    few, many = (json.loads(text)["markups"][0]["controlPoints"] for text in (few, many))
    assert (len(few), len(many)) == (2, 4)
    assert many[:2] == few, "whoever was kept has the same id"
    assert [point["selected"] for point in many] == [True, True, False, False]
    export(cell.folder, Points(role="control"), tmp_path / "kept", on_progress=quiet)
    assert len(read_tsv(kept / "sub-004_findings.tsv")) == 1
    with pytest.raises(UsageError, match=r"--role train: nobody was looked at in this role; run `cmbtk stage1-detect`"):
        export(cell.folder, Points(role="train"), tmp_path / "kept", on_progress=quiet)


def test_again_changes_nothing_and_what_somebody_corrected_is_kept(cell, tmp_path):
    out = export(cell.folder, Labelmap(), tmp_path / "out", on_progress=quiet)
    before = {path.name: path.stat().st_mtime_ns for path in out.iterdir()}
    export(cell.folder, Labelmap(), out, on_progress=quiet)
    (out / ".1.tmp.sub-002_labelmap.nii.gz").write_bytes(b"of a killed run")
    export(cell.folder, Points(), out, on_progress=quiet)
    after = {path.name: path.stat().st_mtime_ns for path in out.iterdir()}
    assert {name: after[name] for name in before} == before
    one = out / "sub-001_labelmap.nii.gz"
    one.write_bytes(one.read_bytes() + b"corrected")
    other = (out / "sub-002_labelmap.nii.gz").stat().st_mtime_ns
    with pytest.raises(UsageError, match=r"sub-001_labelmap\.nii\.gz: somebody else has written or changed it"):
        export(cell.folder, Labelmap(radius=3.0), out, on_progress=quiet)
    assert one.read_bytes().endswith(b"corrected")
    assert (out / "sub-002_labelmap.nii.gz").stat().st_mtime_ns != other


def test_one_bad_subject_does_not_keep_the_others_out(cell, classified_study, tmp_path):
    (classified_study.scans / "sub-001" / "mag.nii.gz").unlink()
    with pytest.raises(MissingError, match=r"sub-001: .*mag\.nii\.gz: not found"):
        export(cell.folder, Labelmap(), tmp_path / "out", on_progress=quiet)
    assert (tmp_path / "out" / "sub-002_labelmap.nii.gz").is_file()
    findings = read_tsv(cell.findings)
    write_tsv(findings.assign(kept="perhaps"), cell.findings)
    with pytest.raises(DataError, match="kept must be True or False"):
        export(cell.folder, Labelmap(), tmp_path / "out", on_progress=quiet)
    cell.findings.unlink()
    with pytest.raises(MissingError, match="Run `cmbtk stage2-classify`"):
        export(cell.folder, Labelmap(), tmp_path / "out", on_progress=quiet)


def test_a_new_export_is_one_file_and_one_line(cell, registered, tmp_path):
    registered(EXPORTS, "count", ("toy_export:Count", "how many there are"))
    cli = import_module("cmb_toolkit.cli.main").cli

    def run(*words):
        return CliRunner().invoke(cli, ["export", *map(str, words)], terminal_width=110)

    assert "count: how many there are" in " ".join(run("--help").output.split())
    said = run(cell.folder, "-o", tmp_path / "out", "--to", "count", "--word", "dots", "--all")
    assert said.exit_code == 0, said.output
    assert (tmp_path / "out" / "sub-001_count.txt").read_text() == "4 dots\n"
    assert read_record(tmp_path / "out" / "sub-001_count.txt")["parameters"]["word"] == "dots"
    refused = run(cell.folder, "-o", tmp_path / "out", "--to", "points", "--radius", 2)
    assert refused.exit_code == 2
    assert "--radius is no option of --to points" in refused.output


@pytest.mark.parametrize("name", EXPORTS)
def test_an_export_is_called_as_its_line_says(name):
    kind = load(EXPORTS[name][0])
    assert kind.name == name
    assert kind.ending.startswith(".")
