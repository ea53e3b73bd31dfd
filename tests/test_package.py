"""What a release would be: an sdist, the wheel built of it, and that wheel in an empty environment of somebody else."""

import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from email import message_from_string
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from hand_made_model import model as make_model

from cmb_toolkit import __version__
from cmb_toolkit.simulation.scan import simulate_scan

ROOT = Path(__file__).parents[1]
NOBODY = 65534
BUILD = "import sys, setuptools.build_meta as build; getattr(build, sys.argv[1])(sys.argv[2])"


def built(kind, source, out):
    """What setuptools makes of a folder."""
    out.mkdir(exist_ok=True)
    subprocess.run([sys.executable, "-c", BUILD, kind, str(out)], cwd=source, check=True, capture_output=True)
    (made,) = out.iterdir()
    return made


@pytest.fixture(scope="module")
def place():
    """A folder that everybody may enter, as pytest's own are not."""
    folder = Path(tempfile.mkdtemp(prefix="cmbtk-package-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def wheel(place):
    source = place / "source"
    left_out = shutil.ignore_patterns("__pycache__", "*.egg-info")
    shutil.copytree(ROOT / "cmb_toolkit", source / "cmb_toolkit", symlinks=True, ignore=left_out)
    for linked in ("cfg", "data"):
        shutil.copytree(ROOT / linked, source / linked)
    for name in ("setup.cfg", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    with tarfile.open(built("build_sdist", source, place / "sdist")) as archive:
        archive.extractall(place / "unpacked", filter="data")
    (unpacked,) = (place / "unpacked").iterdir()
    return built("build_wheel", unpacked, place / "wheel")


def test_the_wheel_holds_every_file_of_the_package(wheel):
    files = {
        str(Path(folder, name).relative_to(ROOT))
        for folder, _, names in os.walk(ROOT / "cmb_toolkit", followlinks=True)
        for name in names
        if "__pycache__" not in folder
    }
    with zipfile.ZipFile(wheel) as archive:
        inside = {name for name in archive.namelist() if name.startswith("cmb_toolkit/")}
        said = message_from_string(archive.read(f"cmb_toolkit-{__version__}.dist-info/METADATA").decode())
    assert inside == files
    assert {
        "cmb_toolkit/py.typed",
        "cmb_toolkit/cfg/small.cfg",
        "cmb_toolkit/published/table-9.tsv",
        "cmb_toolkit/workflow/Snakefile",
    } < inside
    assert said["License-Expression"] == "MIT"
    assert {"workflow", "slurm", "dicom", "regions"} <= set(said.get_all("Provides-Extra"))


def somebody_else():
    """Who is neither this user nor in any of their groups; this user where that is not root."""
    return {"user": NOBODY, "group": NOBODY, "extra_groups": []} if os.geteuid() == 0 else {}


def may_run(python):
    """Whether somebody else may."""
    try:
        return subprocess.run([python, "-c", ""], check=False, capture_output=True, **somebody_else()).returncode == 0
    except OSError:
        return False


@pytest.fixture(scope="module")
def installed(wheel, place):
    """An environment with the wheel alone; what it needs is lent from this one."""
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    pythons = [python for python in (sys.executable, f"/usr/bin/python{version}") if may_run(python)]
    if not pythons:
        pytest.skip("others may not run this Python, and the machine has no other of its version")
    subprocess.run([pythons[0], "-m", "venv", "--without-pip", str(place / "env")], check=True)
    python = place / "env" / "bin" / "python"
    (packages,) = (place / "env").glob("lib/python*/site-packages")
    own = next(path for path in sys.path if Path(path, "numpy").is_dir())
    (packages / "lent.pth").write_text(own + "\n")
    asked = ["--python", str(python), "install", "--quiet", "--no-deps", "--no-index", "--ignore-installed", str(wheel)]
    subprocess.run([sys.executable, "-m", "pip", *asked], check=True, capture_output=True)
    return python


@pytest.fixture(scope="module")
def somebody(installed, place):
    """Runs a command of the installed toolkit as somebody else, whose home cannot be written to."""
    home = place / "home"
    home.mkdir(mode=0o555)
    surroundings = {"PATH": os.defpath, "HOME": str(home), "TMPDIR": str(place / "tmp")}
    (place / "tmp").mkdir(mode=0o777)
    (place / "tmp").chmod(0o777)

    def run(*words):
        command = [str(installed.with_name("cmbtk")), *map(str, words)]
        return subprocess.run(
            command,
            capture_output=True,
            text=True,
            check=False,
            cwd=place,
            env=surroundings,
            timeout=300,
            **somebody_else(),
        )

    said = run("--version")
    assert said.stdout.strip().endswith(__version__), said.stderr
    return run


def test_somebody_else_can_use_it(somebody, place):
    doctor = somebody("doctor")
    assert doctor.returncode == 0, doctor.stdout + doctor.stderr
    assert "embedded" in doctor.stdout
    ours = make_model(place / "ours.cmbtk", sample=True)
    tried = somebody("model", "test", ours)
    assert tried.returncode == 0, tried.stdout + tried.stderr
    simulated = simulate_scan(7, "tiny", microbleeds=5, difficulty="easy")
    scans = {"magnitude": simulated.magnitude, "phase": simulated.phase}
    for name, data in scans.items():
        image = nib.Nifti1Image(np.rint(1000 * data).astype(np.int16), simulated.affine)
        nib.save(image, place / f"{name}.nii.gz")
    given = [word for name in scans for word in (f"--{name}", place / f"{name}.nii.gz")]
    looked = somebody("detect", ours, *given, "--phase-sign", "+1", "-o", place / "tmp" / "out")
    assert looked.returncode == 0, looked.stdout + looked.stderr
    assert (place / "tmp" / "out" / "report.html").is_file()
    assert not list((place / "home").iterdir())
    from_the_wheel = somebody("simulate", "--help").stdout
    assert "cmbtk simulate" in from_the_wheel


def test_its_settings_networks_and_published_tables_are_there(installed):
    code = (
        "from cmb_toolkit.paper.settings import NAMES, load_settings\n"
        "from cmb_toolkit.paper.published import published_table\n"
        "from cmb_toolkit.darknet.network_file import CFGS, network_text\n"
        "from cmb_toolkit.regions.atlas import mars\n"
        "print([load_settings(name).seed for name in NAMES], len(published_table(9)), mars().labels.max())\n"
        "print([len(network_text(name, size=448)) > 100 for name in CFGS])"
    )
    done = subprocess.run([installed, "-I", "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "False" not in done.stdout
