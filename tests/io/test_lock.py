"""One at a time."""

import subprocess
import sys

import pytest

from cmb_toolkit.errors import StorageError, UsageError
from cmb_toolkit.io.lock import locked

HOLD = """
import sys, time
from pathlib import Path
from cmb_toolkit.io.lock import locked
with locked(Path(sys.argv[1]), "it"):
    print("held", flush=True)
    time.sleep(60)
"""


def test_the_second_is_refused_until_the_first_has_ended_however(tmp_path):
    path = tmp_path / "new" / "training.lock"
    with subprocess.Popen([sys.executable, "-c", HOLD, str(path)], stdout=subprocess.PIPE) as first:
        assert first.stdout.readline() == b"held\n"
        with pytest.raises(UsageError, match="the cell x is busy with another training"), locked(path, "the cell x"):
            pytest.fail("was given twice")
        first.kill()
    with locked(path, "the cell x"):
        pass
    with locked(path, "the cell x"):
        pass


def test_where_no_lock_can_be_made(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match="lock file"), locked(tmp_path / "file" / "x.lock", "it"):
        pass
