"""Settings for all tests."""

import os
import subprocess
import sys

import pytest
from hypothesis import settings

# Tests do not depend on a Darknet that happens to be here; those that need one name it.
os.environ["CMBTK_DARKNET"] = "none"

# A machine that is busy with something else must not fail a test.
settings.register_profile("patient", deadline=None)
settings.load_profile("patient")


@pytest.fixture(scope="session")
def cmbtk():
    """Runs a command in a process of its own, as a shell does, and gives what it says."""

    def run(*words, code=0):
        done = subprocess.run(
            [sys.executable, "-m", "cmb_toolkit", *map(str, words)],
            capture_output=True,
            text=True,
            check=False,
            timeout=900,
        )
        assert done.returncode == code, done.stdout + done.stderr
        assert "Traceback" not in done.stderr
        return done.stdout + done.stderr

    return run
