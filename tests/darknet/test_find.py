"""Where a Darknet is looked for, what it is, what it can do, and which engine follows."""

import hashlib
import json
import os
import stat
from pathlib import Path

import pytest

from cmb_toolkit.darknet import find as find_module
from cmb_toolkit.darknet.cfg import parse_cfg
from cmb_toolkit.darknet.engine import engine_to_detect, engine_to_train
from cmb_toolkit.darknet.find import Binary, find_darknet, parse_probe, probe, probe_argv
from cmb_toolkit.errors import DarknetError, MissingError, UsageError

DEBIAN = Path("/usr/bin/darknet")
GPU = " CUDA-version: 13000 (13000), GPU count: 1"
CPU = " OpenCV isn't used"


def script(path: Path, answer: str = "") -> Path:
    """A program that answers as a Darknet, with what makes the flavour."""
    path.write_text(f'#!/bin/sh\necho "{answer}" >&2; echo "Not an option: __probe__" >&2; exit 0\n')
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


@pytest.fixture(autouse=True)
def _nowhere(monkeypatch, tmp_path):
    monkeypatch.setattr(find_module, "_CHECKOUT", tmp_path / "none")
    monkeypatch.delenv("CMBTK_DARKNET", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))


@pytest.fixture
def cfg(toy_cfg):
    return parse_cfg(toy_cfg.replace("adam=1", "adam=0"))


@pytest.fixture
def adam(toy_cfg):
    assert parse_cfg(toy_cfg).net.adam
    return parse_cfg(toy_cfg)


def test_where_darknet_is_looked_for(tmp_path, monkeypatch):
    with pytest.raises(MissingError, match=r"no Darknet found.*make darknet"):
        find_darknet()
    on_path = script(tmp_path / "darknet")
    assert find_darknet().path == on_path
    checkout = script(tmp_path / "built")
    monkeypatch.setattr(find_module, "_CHECKOUT", checkout)
    assert find_darknet().path == checkout
    named = script(tmp_path / "named")
    monkeypatch.setenv("CMBTK_DARKNET", str(named))
    assert find_darknet().path == named
    given = script(tmp_path / "given")
    assert find_darknet(given).path == given
    with pytest.raises(MissingError, match=r"absent: not a program"):
        find_darknet(tmp_path / "absent")
    monkeypatch.setenv("CMBTK_DARKNET", str(tmp_path / "absent"))
    with pytest.raises(MissingError, match=r"absent \(from CMBTK_DARKNET\)"):
        find_darknet()
    monkeypatch.setenv("CMBTK_DARKNET", "none")
    with pytest.raises(MissingError, match="CMBTK_DARKNET is none"):
        find_darknet()
    assert find_darknet(given).path == given


@pytest.mark.parametrize(
    ("stdout", "stderr", "expected"),
    [
        ("", "Not an option: __probe__\n", ("original", False)),
        (
            " GPU isn't used \n",
            " OpenCV isn't used - data augmentation will be slow \nNot an option: __probe__\n",
            ("alexeyab", False),
        ),
        (" GPU isn't used \n Used AVX \n", " OpenCV version: 4.6.0\nNot an option: __probe__", ("alexeyab", False)),
        ("", f"{GPU}\nNot an option: __probe__\n", ("alexeyab", True)),
    ],
)
def test_flavours(stdout, stderr, expected):
    assert parse_probe(0, stdout, stderr, "darknet") == expected


@pytest.mark.parametrize(
    ("code", "stderr", "message"),
    [
        (1, "CUDA status Error: file: ./src/dark_cuda.c: func: cuda_set_device() line: 38", "no driver answers"),
        (-6, "darknet: ./src/cuda.c:36: check_error: Assertion `0' failed.", "no driver answers"),
        (127, "error while loading shared libraries: libcuda.so.1: cannot open", "comes with the NVIDIA driver"),
        (127, "error while loading shared libraries: libgomp.so.1: cannot open", r"libgomp\.so\.1 is missing"),
        (0, "usage: something else", "does not answer as a Darknet"),
        (2, "ls: unknown option", "does not answer as a Darknet"),
    ],
)
def test_what_cannot_run_here(code, stderr, message):
    with pytest.raises(DarknetError, match=f"my/darknet: .*{message}"):
        parse_probe(code, "", stderr, "my/darknet")


def test_not_even_a_program(tmp_path):
    path = tmp_path / "darknet"
    path.write_text("not a program")
    path.chmod(0o755)
    with pytest.raises(DarknetError, match=r"does not (run|answer)"):
        probe(path)


def test_a_program_that_never_answers(tmp_path, monkeypatch):
    monkeypatch.setattr(find_module, "_PROBE_TIMEOUT_S", 0.2)
    path = tmp_path / "darknet"
    path.write_text("#!/bin/sh\nexec /bin/sleep 60\n")
    path.chmod(0o755)
    with pytest.raises(DarknetError, match="does not run"):
        probe(path)


def test_argv():
    assert probe_argv(Path("/opt/darknet")) == ["/opt/darknet", "__probe__"]


@pytest.mark.darknet
@pytest.mark.skipif(not os.access(DEBIAN, os.X_OK), reason="Debian's darknet is not installed")
def test_debians_flavour():
    assert probe(DEBIAN) == Binary(DEBIAN, "original", False)
    described = probe(DEBIAN).describe()
    assert described.startswith("darknet (original, CPU, sha256 ")
    assert "/" not in described


def test_build_record_of_another_binary_does_not_count(tmp_path):
    path = script(tmp_path / "darknet", CPU)
    record = {
        "commit": "59596d7880f6504768df41d6daa586f5cb2b932f", "source_sha256": "0", "flags": {"GPU": 0, "AVX": 1},
        "arch": "", "compiler": "g++ 12.2.0", "cuda": None, "cudnn": None, "opencv": "4.6.0",
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
    }  # fmt: skip
    (tmp_path / "darknet.json").write_text(json.dumps(record))
    assert probe(path).describe().endswith("built from 59596d7880f6 with GPU=0 AVX=1, g++ 12.2.0, opencv 4.6.0")
    with path.open("a") as stream:
        stream.write("# another build\n")
    assert "built from" not in probe(path).describe()
    (tmp_path / "darknet.json").write_text("{}")
    assert "built from" not in probe(path).describe()


# --- which engine ---


def test_auto_without_a_darknet_is_embedded(cfg):
    for engine in (engine_to_train("auto", None, cfg), engine_to_detect("auto", None, 0.01, 0.45)):
        assert engine.name == "embedded"
        assert engine.note == "Embedded engine: no Darknet was found."
    assert engine_to_train("auto", None, cfg).describe().startswith("embedded (keras ")
    assert engine_to_train("embedded", None, cfg).note == ""
    with pytest.raises(MissingError):
        engine_to_train("binary", None, cfg)
    with pytest.raises(UsageError, match="engine 'caffe'"):
        engine_to_train("caffe", None, cfg)
    with pytest.raises(UsageError, match="Leave one of them out"):
        engine_to_detect("embedded", Path("darknet"), 0.01, 0.45)


def test_a_darknet_that_cannot_run_is_no_hindrance_unless_asked_for(tmp_path, cfg):
    (tmp_path / "darknet").write_text("#!/bin/sh\necho something else\n")
    (tmp_path / "darknet").chmod(0o755)
    assert "does not answer as a Darknet" in engine_to_train("auto", None, cfg).note
    with pytest.raises(DarknetError, match="does not answer"):
        engine_to_train("binary", None, cfg)


def test_a_darknet_on_a_gpu_does_all_the_work(tmp_path, cfg, adam):
    script(tmp_path / "darknet", GPU)
    for engine in (
        engine_to_train("auto", None, cfg),
        engine_to_train("auto", None, adam),
        engine_to_detect("auto", None, 0.005, 0.45),
    ):
        assert engine.name == "binary"
        assert "Warning" not in engine.note
    assert engine_to_detect("auto", None, 0.001, 0.45).name == "embedded"


def test_alexeyabs_for_cpus_detects_and_trains_when_asked_only(tmp_path, cfg, adam):
    path = script(tmp_path / "darknet", CPU)
    assert engine_to_detect("auto", None, 0.01, 0.45).name == "embedded"
    assert engine_to_detect("binary", None, 0.01, 0.45).name == "binary"
    assert engine_to_detect("auto", path, 0.001, 0.6).name == "binary"
    chosen = engine_to_train("auto", None, cfg)
    assert chosen.name == "embedded"
    assert "biases of batch norm" in chosen.note
    for asked in (engine_to_train("binary", None, cfg), engine_to_train("auto", path, cfg)):
        assert asked.name == "binary"
        assert "Warning: a build of Darknet for CPUs leaves the biases of batch norm" in asked.note
        assert "gradient through the reorg layer" in asked.note
        assert "the embedded engine and Darknet on a GPU train them rightly" in asked.note
    with pytest.raises(UsageError, match=r"adam=1.*plain SGD.*--engine embedded"):
        engine_to_train("binary", None, adam)


def test_the_original_only_detects(tmp_path, cfg):
    script(tmp_path / "darknet")
    chosen = engine_to_detect("auto", None, 0.01, 0.45)
    assert chosen.name == "embedded"
    assert "fraction of the time" in chosen.note
    assert engine_to_detect("binary", None, 0.01, 0.45).name == "binary"
    assert engine_to_train("auto", None, cfg).name == "embedded"
    with pytest.raises(UsageError, match=r"cannot train YOLOv2.*region layer.*--engine embedded"):
        engine_to_train("binary", None, cfg)


@pytest.mark.parametrize(
    ("flavour", "threshold", "nms", "can"),
    [
        ("original", 0.005, 0.45, True),
        ("original", 0.004, 0.45, False),
        ("original", 0.1, 0.6, False),
        ("alexeyab", 0.005, 0.45, True),
        ("alexeyab", 0.001, 0.45, False),
        ("alexeyab", 0.001, 0.6, True),
        ("alexeyab", 0.1, 0.5, False),
    ],
)
def test_limits_that_are_built_in(flavour, threshold, nms, can):
    reason = Binary(Path("darknet"), flavour, False).cannot_detect(threshold, nms)
    assert bool(reason) is not can
    assert can or "built in" in reason
