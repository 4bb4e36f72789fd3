"""Find packages, read a configuration, and build the Python files of a project."""

import tempfile
from pathlib import Path

from setuptools import Distribution, find_packages


def exercise():
    with tempfile.TemporaryDirectory() as directory:
        root = Path(directory)
        (root / "acme" / "sub").mkdir(parents=True)
        for file in ("acme/__init__.py", "acme/sub/__init__.py"):
            (root / file).write_text("x = 1\n")
        found = sorted(find_packages(directory))
        dist = Distribution(
            {
                "name": "acme",
                "version": "1.0",
                "packages": found,
                "package_dir": {"": directory},
                "script_name": "setup.py",
            }
        )
        command = dist.get_command_obj("build_py")
        command.build_lib = str(root / "out")
        command.ensure_finalized()
        command.run()
        built = sorted(str(path.relative_to(root / "out")) for path in (root / "out").rglob("*.py"))
    return [found, built, dist.get_fullname()]
