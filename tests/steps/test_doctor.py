"""`cmbtk doctor`: what is installed and which engine would be used, without importing anything heavy."""

import os
import stat
import subprocess
import sys
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
    for job, package in (("to train", "keras"), ("to detect", "openvino")):
        engine = finding(findings, job)
        assert engine.found.startswith(f"embedded ({package} ")
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
    assert finding(examine(program), "to detect").found.startswith("darknet (original, CPU"), "it was given"


def test_why_the_embedded_engine_would_be_taken(tmp_path, monkeypatch):
    program = tmp_path / "darknet"
    program.write_text('#!/bin/sh\necho "OpenCV isn\'t used" >&2; echo "Not an option: $1" >&2\n')
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("CMBTK_DARKNET", str(program))
    found = finding(examine(), "Darknet")
    assert found.found == f"{program} (AlexeyAB's, on CPUs; trains and detects)"
    assert "biases of batch norm" in finding(examine(), "to train").advice
    chosen = finding(examine(), "to detect")
    assert chosen.found.startswith("embedded (")
    assert "in a fraction of the time" in chosen.advice


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


WITHOUT_TENSORFLOW = """
import os, sys
from importlib.metadata import DistributionFinder

class Gone(DistributionFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "tensorflow":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
    def find_distributions(self, context=None):
        return ()

sys.meta_path.insert(0, Gone())
from cmb_toolkit.darknet.engine import engine_to_detect, engine_to_train
from cmb_toolkit.errors import CmbError
from cmb_toolkit.steps.doctor import _ANY, _engines

for darknet in sys.argv[1:]:
    os.environ["CMBTK_DARKNET"] = darknet
    for finding in list(_engines(None))[1:]:
        print(finding.topic, "|", finding.found, "|", finding.advice)
    for name in ("auto", "embedded"):
        for choose in (lambda: engine_to_train(name, None, _ANY), lambda: engine_to_detect(name, None, 0.01, 0.45)):
            try:
                print(name, "|", choose().name)
            except CmbError as error:
                print(name, "|", error.exit_code, error)
assert "tensorflow" not in sys.modules
"""


def test_without_tensorflow(tmp_path):
    """The embedded engine is not there, and said to be not there; a Darknet does what it can do."""
    for name, said in (("original", ""), ("alexeyab", "OpenCV isn't used ")):
        program = tmp_path / name
        program.write_text(f'#!/bin/sh\necho "{said}Not an option: __probe__" >&2\n')
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
    call = [sys.executable, "-c", WITHOUT_TENSORFLOW, "none", str(tmp_path / "original"), str(tmp_path / "alexeyab")]
    lines = subprocess.run(call, capture_output=True, text=True, check=True).stdout.splitlines()
    assert not [line for line in lines if "embedded (keras" in line]
    none, original, alexeyab = (lines[start : start + 6] for start in (0, 6, 12))
    for neither in (none[0], none[1], none[2], none[3], original[0], original[2]):
        assert "no engine can do this here. Darknet: " in neither
        for way in ("Run pip install tensorflow", "`make darknet`"):
            assert way in neither
    assert none[0].startswith("to train | none | ")
    assert none[2].startswith("auto | 3 ")
    assert original[3] == alexeyab[2] == alexeyab[3] == "auto | binary"
    assert "leaves the biases of batch norm" in alexeyab[0], "what it does not do rightly is told"
    for asked in (*none[4:], *original[4:], *alexeyab[4:]):
        assert asked.startswith("embedded | 3 the embedded engine needs tensorflow, which is not installed here.")
