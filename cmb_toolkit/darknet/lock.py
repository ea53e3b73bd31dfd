"""One training at a time: in a folder, and on a GPU."""

from __future__ import annotations

import errno
import fcntl
import os
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..errors import StorageError, UsageError

__all__ = ["chosen_gpu", "gpu_lock", "locked"]

_FOLDER = Path("/tmp")  # one for all users and jobs of a machine, whatever TMPDIR says
_NO_LOCKS = {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP}
"""A file system that has no locks: then nothing is held, and nothing is refused."""


@contextmanager
def locked(path: Path, what: str, by: str = "training") -> Iterator[int]:
    """Hold a lock file while the block runs; it is released when this process ends, however it ends.

    Parameters
    ----------
    path : Path
    what, by : str
        What is busy, and with another what, for the message.

    Yields
    ------
    int
        File descriptor of the lock. A child process that is given it holds the lock as well.

    Raises
    ------
    UsageError
        If another process holds it.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:  # network file systems want it open for writing
            handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        except PermissionError:  # another user's
            handle = os.open(path, os.O_RDONLY)
    except OSError as error:
        raise StorageError(f"{path}: the lock file could not be made ({error.strerror}).") from error
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise UsageError(f"{what} is busy with another {by}. Wait until it has ended, or stop it.") from error
        except OSError as error:
            if error.errno not in _NO_LOCKS:
                raise
        yield handle
    finally:
        os.close(handle)


@contextmanager
def gpu_lock() -> Iterator[None]:
    """Hold the GPU that a Darknet would train on.

    Raises
    ------
    UsageError
        If a cmbtk training on this machine holds it.
    """
    gpu = chosen_gpu(os.environ.get("CUDA_VISIBLE_DEVICES", ""), _list_gpus())
    what = f"GPU {gpu} (another one can be chosen with CUDA_VISIBLE_DEVICES)"
    with locked(_FOLDER / f"cmbtk-gpu-{gpu}.lock", what):
        yield


def chosen_gpu(visible: str, listed: str) -> str:
    """Identity of the GPU that a program uses which takes the first one.

    Parameters
    ----------
    visible : str
        Value of ``CUDA_VISIBLE_DEVICES``: numbers or identities with commas between them, or nothing.
    listed : str
        Lines ``0, GPU-1b2c...`` of ``nvidia-smi --query-gpu=index,uuid --format=csv,noheader``. Numbers differ between
        containers and jobs, identities do not.
    """
    first = visible.split(",", maxsplit=1)[0].strip() or "0"
    known = dict(re.findall(r"^(\d+), *(\S+) *$", listed, re.M))
    return re.sub(r"[^A-Za-z0-9-]", "_", known.get(first, first))


def _list_gpus() -> str:
    try:
        done = subprocess.run(
            ["nvidia-smi", "--query-gpu=index,uuid", "--format=csv,noheader"],
            capture_output=True, check=False, timeout=60, stdin=subprocess.DEVNULL,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.decode("latin-1")
