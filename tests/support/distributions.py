"""Distributions for tests: written, built and installed for real, or faked where a folder with metadata is enough.

project = Project(tmp_path / "counter", version="1.1")
wheel = project.wheel(tmp_path)                  # built by hatchling (or setuptools)
venv = Venv(tmp_path / "venv")                   # a throwaway virtual environment
venv.install(wheel)
venv.uninstall("acme-counter")

fake_install(site, "acme-counter", "1.0", {"counter": "acme_counter:Counter"})    # a dist-info directory
write_wheel(tmp_path / "x.whl", {"acme/__init__.py": ""})                          # a zip file, as given
"""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path

import hostcore

CODE = '''\
import hostcore


class Counter:
    """Counts messages."""

    version = "@VERSION@"

    @hostcore.hookimpl
    def initialize(self, context):
        self.count = 0

    @hostcore.hookimpl
    def handle_message(self, message):
        self.count += 1
        return {"count": self.count, "version": self.version}

    @hostcore.hookimpl
    def get_state(self):
        return {"count": self.count}

    @hostcore.hookimpl
    def restore_state(self, state):
        self.count = state["count"]
'''
GUEST = b"\0asm\x01\0\0\0"
"""The smallest WebAssembly module: it is one, and can do nothing."""
BACKENDS = {"hatchling": "hatchling.build", "setuptools": "setuptools.build_meta"}
ENVIRONMENT = {**os.environ, "PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_CONFIG_FILE": os.devnull}


def libraries() -> list[str]:
    """Return the directories that hold hostcore and what it depends on, for `PYTHONPATH`."""
    return list(dict.fromkeys([str(Path(hostcore.__file__).parents[1]), sysconfig.get_path("purelib")]))


def run(*command: str | Path, cwd: Path | None = None) -> str:
    """Run `command` and return what it printed; its errors are shown if it fails."""
    done = subprocess.run([*map(str, command)], cwd=cwd, env=ENVIRONMENT, text=True, capture_output=True)
    assert done.returncode == 0, f"{command} failed:\n{done.stdout}\n{done.stderr}"
    return done.stdout


class Project:
    """A project directory with one package and one module; `write` brings it up to date after a change.

    Args:
        directory: Where it is written.
        name: The distribution's name; the package is called the same, with "_".
        version: Its version.
        modules: Module name -> entry point; by default "counter", a class that counts messages.
        layout: "src" or "flat".
        backend: "hatchling" or "setuptools".
        files: More files, or others, relative to the directory with the code; as in `write_files`.
        code: Whether the package has the usual Python code; without, its folder holds what `files` give it.
        manifest: The content of `module.toml`, if there is to be one.
        extra: More text for `pyproject.toml`.
    """

    def __init__(self, directory: Path, name: str = "acme-counter", version: str = "1.0", *,
                 modules: Mapping[str, str] | None = None, layout: str = "src", backend: str = "hatchling",
                 files: Mapping[str, str | bytes] | None = None, manifest: str = "", extra: str = "",
                 code: bool = True) -> None:  # fmt: skip
        self.directory = directory
        self.name = name
        self.version = version
        self.package = name.replace("-", "_")
        self.modules = dict(modules or {"counter": f"{self.package}:Counter"})
        self.code = directory / "src" if layout == "src" else directory
        self.backend = backend
        self.files = dict(files or {})
        self.manifest = manifest
        self.extra = extra
        self.has_code = code
        if not code:
            self.extra += self._take_in(layout)
        if backend == "hatchling" and "[tool.hatch.build]" not in extra:  # else an editable build needs a library
            self.extra += f'\n[tool.hatch.build]\ndev-mode-dirs = ["{"src" if layout == "src" else "."}"]\n'
        self.write()

    def write(self) -> None:
        """Write all files of the project."""
        init = {f"{self.package}/__init__.py": CODE.replace("@VERSION@", self.version)} if self.has_code else {}
        files = {**init, **self.files}
        if self.manifest:
            files[f"{self.package}/module.toml"] = self.manifest
        write_files(self.code, files)
        write_files(self.directory, {"pyproject.toml": self.pyproject()})

    def _take_in(self, layout: str) -> str:
        """Return the settings with which a build takes in a package folder that has no Python code."""
        folder = f"src/{self.package}" if layout == "src" else self.package
        if self.backend == "hatchling":
            return f'\n[tool.hatch.build.targets.wheel]\npackages = ["{folder}"]\n'
        where = f'\npackage-dir = {{ "" = "{"src" if layout == "src" else "."}" }}'
        data = f'[tool.setuptools.package-data]\n{self.package} = ["*.wasm", "*.toml"]\n'
        return f'\n[tool.setuptools]\npackages = ["{self.package}"]{where}\n{data}'

    def pyproject(self) -> str:
        """Return the text of `pyproject.toml`."""
        points = "\n".join(f'{name} = "{value}"' for name, value in self.modules.items())
        return (
            f'[build-system]\nrequires = ["{self.backend}"]\nbuild-backend = "{BACKENDS[self.backend]}"\n\n'
            f'[project]\nname = "{self.name}"\nversion = "{self.version}"\n\n'
            f'[project.entry-points."hostcore.modules"]\n{points}\n\n{self.extra}'
        )

    def wheel(self, out: Path) -> Path:
        """Build a wheel into the directory `out`."""
        return self._build("build_wheel", out)

    def editable(self, out: Path) -> Path:
        """Build the wheel of an editable install, which is what `pip install -e` installs."""
        return self._build("build_editable", out)

    def _build(self, hook: str, out: Path) -> Path:
        out.mkdir(parents=True, exist_ok=True)
        code = f"import sys; from {BACKENDS[self.backend]} import {hook}; {hook}(sys.argv[1])"
        before = {path: path.stat().st_mtime_ns for path in out.glob("*.whl")}
        run(sys.executable, "-W", "ignore", "-c", code, out.absolute(), cwd=self.directory)
        (wheel,) = (path for path in out.glob("*.whl") if before.get(path) != path.stat().st_mtime_ns)
        return wheel


class Venv:
    """A throwaway virtual environment without pip; packages are installed by the pip of the running Python."""

    def __init__(self, directory: Path) -> None:
        run(sys.executable, "-m", "venv", "--without-pip", directory)
        self.python = directory / "bin" / "python"
        self.site = Path(run(self.python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))").strip())

    def install(self, *wheels: Path) -> None:
        """Install wheels over whatever is there of them."""
        self._pip("install", "--no-index", "--no-deps", "--no-compile", "--force-reinstall", *wheels)

    def uninstall(self, name: str) -> None:
        """Uninstall a distribution."""
        self._pip("uninstall", "--yes", name)

    def _pip(self, *arguments: str | Path) -> None:
        run(sys.executable, "-m", "pip", "--python", self.python, *arguments)


def install_target(target: Path, *wheels: Path, upgrade: bool = False) -> None:
    """Install wheels into a plain directory, as `pip install --target` does."""
    options = ["--no-index", "--no-deps", "--no-compile", *(["--upgrade"] if upgrade else [])]
    run(sys.executable, "-m", "pip", "install", *options, "--target", target, *wheels)


def write_files(directory: Path, files: Mapping[str, str | bytes]) -> None:
    """Write `files`, relative path -> content, below `directory`."""
    for name, content in files.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)


def entry_points(modules: Mapping[str, str], group: str = "hostcore.modules") -> str:
    """Return the text of an `entry_points.txt`."""
    return "".join([f"[{group}]\n", *(f"{name} = {value}\n" for name, value in modules.items())])


def fake_install(site: Path, name: str, version: str, modules: Mapping[str, str] | str,
                 files: Iterable[str] = ()) -> Path:  # fmt: skip
    """Write the metadata directory of a distribution, its RECORD and empty `files`, into `site`; return the directory.

    Args:
        site: The folder to install into.
        name: The distribution's name.
        version: Its version.
        modules: Module name -> entry point, or the whole text of `entry_points.txt`.
        files: The files it consists of, relative to `site`.
    """
    info = f"{name.replace('-', '_')}-{version}.dist-info"
    text = modules if isinstance(modules, str) else entry_points(modules)
    metadata = {"METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n", "entry_points.txt": text}
    listed = [*files, *(f"{info}/{file}" for file in (*metadata, "RECORD"))]
    write_files(site, dict.fromkeys(files, ""))
    write_files(site / info, {**metadata, "RECORD": "".join(f"{file},,\n" for file in listed)})
    return site / info


def write_wheel(path: Path, files: Mapping[str, str | bytes], *, name: str = "acme-counter", version: str = "1.0",
                modules: Mapping[str, str] | None = None, tag: str = "py3-none-any") -> Path:  # fmt: skip
    """Write a wheel with `files` and, unless `files` replaces them, the usual metadata."""
    info = f"{name.replace('-', '_')}-{version}.dist-info"
    metadata = {
        f"{info}/WHEEL": f"Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: {tag}\n",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{info}/entry_points.txt": entry_points(modules or {"counter": "acme_counter:Counter"}),
    }
    content = {**files, **{key: value for key, value in metadata.items() if key not in files}}
    record = "".join(f"{file},,\n" for file in (*content, f"{info}/RECORD"))
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for file, text in {**content, f"{info}/RECORD": record}.items():
            archive.writestr(file, text)
    return path
