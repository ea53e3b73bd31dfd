"""A file that one process at a time may hold."""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..errors import StorageError, UsageError

__all__ = ["locked"]

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
