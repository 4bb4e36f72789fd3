"""The inside of a guest, laid out as it is in one and imported by a Python that has nothing else."""

from __future__ import annotations

import inspect
import json
import subprocess
import sys
from pathlib import Path

import pytest
from support.python_guests import CONFORMANCE

import hostcore
from hostcore import guest
from hostcore.contract import spec
from hostcore.guest.inside import spec as inside_spec
from hostcore.packages.projects import Project
from hostcore.sdk import componentizing, staging


@pytest.fixture(scope="module")
def stage(tmp_path_factory) -> staging.Stage:
    """The conformance module, staged."""
    return staging.lay_out(tmp_path_factory.mktemp("stage"), Project(CONFORMANCE).release("conformance"), ["wave"])


def fresh(stage: staging.Stage, code: str) -> str:
    """Run `code` in a Python that has the standard library and what is staged."""
    lines = f"import sys; sys.path[1:1] = {[str(path) for path in stage.path]!r}\n{code}"
    done = subprocess.run([sys.executable, "-I", "-S", "-c", lines], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_the_public_names():
    """What `hostcore.guest` gives is pinned here, and is hostcore's own."""
    assert guest.__all__ == [
        "WORLD", "Capability", "Context", "Message", "Permission", "errors", "hookimpl", "interface_dir", "is_inside",
    ]  # fmt: skip
    for name in ("Capability", "Context", "Message", "Permission", "errors", "hookimpl"):
        assert getattr(guest, name) is getattr(hostcore, name)
    assert set(guest.__all__) <= set(dir(guest))
    assert guest.is_inside() is False
    with pytest.raises(AttributeError, match=r"hostcore\.guest"):
        guest.ModuleSystem


def test_the_interface_is_shipped():
    """The interface's files are where `interface_dir` says, and have the world that guests are built for."""
    assert f"world {guest.WORLD} {{" in (guest.interface_dir() / "hostcore-module.wit").read_text()


def test_the_hooks_are_the_contracts():
    """The hooks and markers that a guest knows are those of the contract."""
    assert inside_spec.HOOKS == spec.HOOKS
    for name in ("PROJECT", "INTERFACE", "BLOCKING"):
        assert getattr(inside_spec, name) == getattr(spec, name)
    parameters = inspect.signature(inside_spec.hookimpl).parameters
    original = inspect.signature(spec.hookimpl).parameters
    assert {name: p.default for name, p in parameters.items()} == {name: p.default for name, p in original.items()}


@pytest.mark.parametrize(
    "options", [{}, {"blocking": True}, {"specname": "execute", "tryfirst": True, "optionalhook": True}]
)
def test_the_marks_are_the_same(options):
    """A function is marked inside exactly as pluggy marks it outside."""

    def one(): ...

    def other(): ...

    assert vars(inside_spec.hookimpl(**options)(one)) == vars(spec.hookimpl(**options)(other))
    assert inside_spec.hookimpl(one) is one


def test_everything_inside_needs_the_standard_library_only(stage):
    """All that is laid out, but for what uses the bindings, imports without any distribution but `packaging`."""
    names = [
        name.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
        for name in staging.sources_of_inside()
        if name.removeprefix("guest/inside/") not in ("exports.py", "warming.py", "wit.py")
    ]
    loaded = fresh(stage, "\n".join([*(f"import hostcore.{name}" for name in names if name != "__init__"),
                                     "import hostcore; print(*sys.modules)"])).split()  # fmt: skip
    foreign = {name.partition(".")[0] for name in loaded} - set(sys.stdlib_module_names) - {"__main__"}
    assert {name for name in foreign if not name.startswith("_")} == {"hostcore", "packaging"}


def test_hostcore_inside(stage):
    """`import hostcore` gives what a module needs, of the same names."""
    told = fresh(
        stage,
        """
import hostcore, json
from hostcore.guest import Message, hookimpl
assert Message is hostcore.Message and hookimpl is hostcore.hookimpl
print(json.dumps([sorted(hostcore.__all__), str(hostcore.Capability("a/1.0")), str(hostcore.errors.DeniedError("no"))]))
""",
    )
    names, capability, error = json.loads(told)
    assert set(names) <= set(hostcore.__all__)
    assert set(names) == {"Capability", "Context", "Message", "Permission", "errors", "hookimpl", "hookspec"}
    assert (capability, error) == ("a/1.0", "HC601 no")


@pytest.mark.parametrize("code", ["hostcore.Payload", "from hostcore import ModuleSystem", "import hostcore.system"])
def test_what_is_not_inside_says_so(stage, code):
    """A name of hostcore that a guest cannot have is an error that says why."""
    told = fresh(stage, f"import hostcore\ntry: {code}\nexcept (AttributeError, ImportError) as e: print(e)")
    assert "is not available inside a WebAssembly guest" in told


def test_other_missing_modules_are_as_anywhere(stage):
    """A module that has nothing to do with hostcore is missing as usual."""
    told = fresh(stage, "import hostcore\ntry: import numpy\nexcept ModuleNotFoundError as e: print(e)")
    assert told == "No module named 'numpy'"


def test_the_stage(stage):
    """The module's own code, the entry, the interface: nothing else of the project is staged."""
    assert sorted(path.name for path in stage.app.iterdir()) == ["acme_conformance", "hostcore_guest_entry.py"]
    entry = (stage.app / "hostcore_guest_entry.py").read_text()
    assert "'conformance', 'acme_conformance:Conformance', ('acme_conformance',), ('wave',)" in entry
    assert [path.name for path in stage.wit.iterdir()] == ["hostcore-module.wit"]
    assert list(stage.empty.iterdir()) == list(stage.deps.iterdir()) == []


def test_no_source_is_forgotten():
    """Every file that is laid out exists, and every file of the inside is laid out."""
    sources = staging.sources_of_inside()
    assert all(path.is_file() for path in sources.values())
    inside = Path(hostcore.__file__).parent / "guest" / "inside"
    assert set(inside.glob("*.py")) <= set(sources.values())


def test_the_mark_is_the_same_on_both_sides():
    """What a guest tells while it is built begins with the mark that the builder looks for."""
    source = (Path(hostcore.__file__).parent / "guest" / "inside" / "warming.py").read_text()
    assert f'MARK = "{componentizing.MARK}"' in source
