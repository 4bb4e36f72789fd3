"""What docs/guide/wasm.md shows is built as the page says, and does what the page says."""

from __future__ import annotations

import re
import shutil
import sys
from pathlib import Path

import pytest
from guests.building import AUTHORS, HERE, guests
from support.distributions import run
from support.guests import COUNTERS, guest

import hostcore
from hostcore import errors

PAGE = (HERE.parents[1] / "docs" / "guide" / "wasm.md").read_text()


@pytest.mark.parametrize("name", COUNTERS)
def test_the_page_has_source_and_commands(name: str) -> None:
    """The page shows the source of each example, and the commands with which the tests build it."""
    shown = re.sub(r"\s*\\\n\s*", " ", PAGE)
    it = guests()[name]
    assert f'--8<-- "tests/guests/{it.sources[0]}"' in shown
    for command in it.commands:
        assert command in shown, f"the page builds {name} in another way"


def test_the_page_names_files_that_are_there() -> None:
    """What the page says that authors get is in hostcore's folder for them."""
    named = re.findall(r"\$GUEST/([\w./-]+)", PAGE)
    assert named
    assert [name for name in named if not (AUTHORS / name).exists()] == []


@pytest.mark.parametrize("name", COUNTERS)
async def test_an_example_counts(name: str, tmp_path: Path) -> None:
    """Each example counts, keeps its count over a reload, and refuses what it does not know."""
    path = tmp_path / "counter.wasm"
    shutil.copy(guest(name), path)
    (tmp_path / "module.toml").write_text("[counter.limits]\nmemories = 2\n")
    async with hostcore.ModuleSystem() as system:
        await system.load("counter", source=path)
        assert await system.request("counter", {"by": 2}, topic="add") == {"count": 2}
        assert await system.request("counter", {}, topic="add") == {"count": 3}
        await system.reload("counter", strict=True)
        assert await system.request("counter", {"by": 4}, topic="add") == {"count": 7}
        with pytest.raises(errors.HostcoreError, match="unknown topic"):
            await system.request("counter", None, topic="other")


async def test_a_guest_is_shipped_as_the_page_says(tmp_path: Path) -> None:
    """The project that the page shows makes a wheel with the guest in it, which loads without being installed."""
    (project,) = re.findall(r"```toml\n(\[build-system\].*?)```", PAGE, re.DOTALL)
    folder = tmp_path / "src" / "acme_shout"
    folder.mkdir(parents=True)
    (tmp_path / "pyproject.toml").write_text(project)
    (tmp_path / ".gitignore").write_text("*.wasm\n")
    (folder / "module.toml").write_text('[shout]\nsummary = "Shouts."\n')
    shutil.copy(guest("counter-c"), folder / "shout.wasm")
    run(sys.executable, "-c", "from hatchling.build import build_wheel; build_wheel('.')", cwd=tmp_path)
    (wheel,) = tmp_path.glob("*.whl")
    assert wheel.name == "acme_shout-1.0.0-py3-none-any.whl"
    async with hostcore.ModuleSystem() as system:
        await system.load("shout", source=wheel)
        assert await system.request("shout", {"by": 2}, topic="add") == {"count": 2}
