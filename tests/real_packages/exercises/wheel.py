"""Write a wheel, read it back with its hashes checked, and parse its name."""

import tempfile
from pathlib import Path

from wheel.wheelfile import WheelFile


def exercise():
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory, "acme-1.0-py3-none-any.whl")
        with WheelFile(path, "w") as wheel:
            wheel.writestr("acme/__init__.py", "x = 1\n")
        with WheelFile(path) as wheel:
            return [sorted(wheel.namelist()), wheel.read("acme/__init__.py").decode(), wheel.dist_info_path]
