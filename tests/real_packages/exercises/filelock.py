"""Take a lock twice from one object, and be refused from another."""

import tempfile
from pathlib import Path

from filelock import FileLock, SoftFileLock, Timeout


def exercise():
    with tempfile.TemporaryDirectory() as directory:
        lock = FileLock(Path(directory, "x.lock"))
        soft = SoftFileLock(Path(directory, "y.lock"))
        with lock, lock, soft:
            try:
                FileLock(Path(directory, "x.lock"), timeout=0).acquire()
            except Timeout as error:
                refused = type(error).__name__
            held = lock.is_locked, soft.is_locked
        return [refused, *held, lock.is_locked]
