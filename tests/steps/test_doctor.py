"""`cmbtk doctor`: what is installed and which engine would be used, without importing anything heavy."""

import os
import stat
from importlib.metadata import PackageNotFoundError, version

import pytest
from click.testing import CliRunner

from cmb_toolkit import __version__
from cmb_toolkit.cli.main import cli
from cmb_toolkit.darknet import find
from cmb_toolkit.steps import doctor
from cmb_toolkit.steps.doctor import examine


@pytest.fixture(autouse=True)
def no_darknet(monkeypatch, tmp_path):
    monkeypatch.delenv("CMBTK_DARKNET", raising=False)
    monkeypatch.setattr(find, "_CHECKOUT", tmp_path / "none")
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))


def finding(findings, topic):
    (found,) = [f for f in findings if f.topic == topic]
    return found


def test_this_installation_is_sound():
    findings = examine()
    assert [f for f in findings if f.state == "problem"] == []
    assert finding(findings, "cmb_toolkit").found == __version__
    assert finding(findings, "numpy").found == version("numpy")
    assert int(finding(findings, "processors").found) == len(os.sched_getaffinity(0))
    assert finding(findings, "GPU").state == "note"
    for job in ("to train", "to detect"):
        engine = finding(findings, job)
        assert engine.found.startswith("embedded (keras ")
        assert engine.advice == "Embedded engine: no Darknet was found."


@pytest.mark.parametrize(
    ("found", "wanted", "fits"),
    [
        ("4.14.0.94", "<5,>=4.10", True),
        ("5.0.0", "<5,>=4.10", False),
        ("5", "<5.0,>=4.10", False),
        ("4.9.3", "<5,>=4.10", False),
        ("4.10", "<5,>=4.10.0", True),
        ("2.22.0rc1", "<2.22,>=2.19", False),
        ("3.15.1", "", True),
    ],
)
def test_versions(found, wanted, fits):
    assert doctor._fits(found, wanted) == fits


def test_missing_and_wrong_packages(monkeypatch):
    def fake(name):
        if name == "openpyxl":
            raise PackageNotFoundError(name)
        if name.startswith("opencv"):
            if name != "opencv-python":
                raise PackageNotFoundError(name)
            return "5.0.1"
        return version(name)

    monkeypatch.setattr(doctor, "version", fake)
    findings = examine()
    missing = finding(findings, "openpyxl")
    assert (missing.found, missing.state) == ("not installed", "problem")
    assert "pip install 'openpyxl" in missing.advice
    too_new = finding(findings, "opencv-python-headless")
    assert (too_new.found, too_new.state) == ("5.0.1 (opencv-python)", "problem")
    result = CliRunner().invoke(cli, ["doctor"])
    assert result.exit_code == 3
    assert "X openpyxl" in result.output


def test_no_darknet_is_no_problem():
    found = finding(examine(), "Darknet")
    assert (found.found, found.state) == ("none", "ok")


def test_a_darknet_that_was_named_but_is_not_there(monkeypatch, tmp_path):
    found = finding(examine(tmp_path / "darknet"), "Darknet")
    assert found.state == "note"
    assert str(tmp_path / "darknet") in found.advice
    monkeypatch.setenv("CMBTK_DARKNET", "/nowhere/darknet")
    assert "CMBTK_DARKNET" in finding(examine(), "Darknet").advice


def test_a_program_that_is_no_darknet(tmp_path):
    program = tmp_path / "darknet"
    program.write_text("#!/bin/sh\necho hello\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    found = finding(examine(program), "Darknet")
    assert (found.found, found.state) == ("cannot be used", "note")


def test_a_darknet_that_answers(tmp_path):
    program = tmp_path / "darknet"
    program.write_text('#!/bin/sh\necho "Not an option: $1" >&2\n')
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    found = finding(examine(program), "Darknet")
    assert found.found == f"{program} (the original, on CPUs; detects only)"
    assert "cannot train YOLOv2" in finding(examine(program), "to train").advice
    assert finding(examine(program), "to detect").found.startswith("darknet (original, CPU")


def test_why_the_embedded_engine_would_be_taken(tmp_path, monkeypatch):
    program = tmp_path / "darknet"
    program.write_text('#!/bin/sh\necho "OpenCV isn\'t used" >&2; echo "Not an option: $1" >&2\n')
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("CMBTK_DARKNET", str(program))
    found = finding(examine(), "Darknet")
    assert found.found == f"{program} (AlexeyAB's, on CPUs; trains and detects)"
    assert "biases of batch norm" in finding(examine(), "to train").advice
    assert finding(examine(), "to detect").found.startswith("darknet (alexeyab, CPU")


def test_command_line():
    result = CliRunner().invoke(cli, ["doctor"])
    assert result.exit_code == 0, result.output
    for part in ("Packages", "Machine", "Engine", "tensorflow", "to train", "to detect"):
        assert part in result.output


def test_fsl_is_found_where_it_is(monkeypatch, tmp_path):
    monkeypatch.delenv("FSLDIR", raising=False)
    assert finding(examine(), "FSL bet").found == "none"
    program = tmp_path / "fsl" / "bin" / "bet"
    program.parent.mkdir(parents=True)
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    (tmp_path / "fsl" / "etc").mkdir()
    (tmp_path / "fsl" / "etc" / "fslversion").write_text("6.0.7.4\n")
    monkeypatch.setenv("FSLDIR", str(tmp_path / "fsl"))
    assert finding(examine(), "FSL bet").found == f"{program} (FSL 6.0.7.4 bet)"
