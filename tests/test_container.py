"""The container: versions that fit, and, where buildah and a base are there, an image that somebody else can use.

    CMBTK_CONTAINER_BASE=docker.io/library/python:3.11-slim python -m pytest tests/test_container.py

takes some 4 GB and minutes, a package index and the right to build.
"""

import configparser
import os
import shutil
import subprocess
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from hand_made_model import model as make_model
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from cmb_toolkit.simulation.scan import simulate_scan

ROOT = Path(__file__).parents[1]
BASE = os.environ.get("CMBTK_CONTAINER_BASE", "")
IMAGE = "cmbtk-tested"


def test_every_requirement_has_a_version_that_fits():
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    asked = [setup["options"]["install_requires"]]
    asked += [setup["options.extras_require"][extra] for extra in ("workflow", "dicom", "regions")]
    lines = [line.partition("#")[0].strip() for line in "\n".join(asked).splitlines()]
    needed = [Requirement(line) for line in lines if line]
    pinned = (ROOT / "container" / "constraints.txt").read_text("utf-8").splitlines()
    versions = dict(line.split("==") for line in pinned if not line.startswith("#"))
    held = {canonicalize_name(name): version for name, version in versions.items()}
    assert len(needed) > 10
    for one in needed:
        assert one.specifier.contains(held[canonicalize_name(one.name)]), one


def buildah(*words):
    done = subprocess.run(["buildah", *map(str, words)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout


@pytest.fixture(scope="module")
def container():
    """A container of the image that the Dockerfile makes."""
    if not (BASE and shutil.which("buildah")):
        pytest.skip("needs buildah, and a base that CMBTK_CONTAINER_BASE names")
    words = ["--isolation", "chroot", "--build-arg", f"BASE={BASE}", "--file", ROOT / "container" / "Dockerfile"]
    buildah("build", *words, "--tag", IMAGE, ROOT)
    name = buildah("from", IMAGE).strip()
    yield name
    buildah("rm", name)
    buildah("rmi", IMAGE)


@pytest.mark.slow
def test_somebody_else_can_use_the_image(container, tmp_path):
    make_model(tmp_path / "ours.cmbtk", sample=True)
    simulated = simulate_scan(7, "tiny", microbleeds=5, difficulty="easy")
    for name, data in (("magnitude", simulated.magnitude), ("phase", simulated.phase)):
        image = nib.Nifti1Image(np.rint(1000 * data).astype(np.int16), simulated.affine)
        nib.save(image, tmp_path / f"{name}.nii.gz")
    tmp_path.chmod(0o777)
    (tmp_path / "ours.cmbtk").chmod(0o755)
    mounted = ["--isolation", "chroot", "--user", "1234:1234", "--volume", f"{tmp_path}:/data", container, "--"]
    assert "embedded" in buildah("run", *mounted, "cmbtk", "doctor")
    buildah("run", *mounted, "cmbtk", "model", "test", "ours.cmbtk")
    files = ["--magnitude", "magnitude.nii.gz", "--phase", "phase.nii.gz", "--phase-sign", "+1"]
    buildah("run", *mounted, "cmbtk", "detect", "ours.cmbtk", *files, "-o", "result")
    assert (tmp_path / "result" / "report.html").is_file()
    assert (tmp_path / "result" / "report.html").stat().st_uid == 1234
    regions = "from cmb_toolkit.regions.template import template; print(template().image.shape)"
    assert "(" in buildah("run", *mounted, "python3", "-c", regions)
