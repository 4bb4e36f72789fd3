"""The documentation says what the code does."""

import re
from itertools import pairwise
from pathlib import Path

import pytest

from hostcore.contract.lifecycle import TRANSITIONS, State
from hostcore.contract.spec import HOOKS, HookSpecs
from hostcore.runtime.phases import DOES, HELD, Phase

ROOT = Path(__file__).parent.parent
LIFECYCLE = ROOT / "docs" / "architecture" / "lifecycle.md"
HOOK_PAGE = ROOT / "docs" / "reference" / "hooks.md"
RELOAD = ROOT / "docs" / "architecture" / "reload.md"
ERRORS = ROOT / "docs" / "reference" / "errors.md"


def drawn() -> str:
    """Return the lifecycle table as a Mermaid picture."""
    lines = ["```mermaid", "stateDiagram-v2", f"    [*] --> {State.WAITING.value}"]
    for state, moves in TRANSITIONS.items():
        lines += [f"    {state.value} --> {after.value}: {signal.value}" for signal, after in moves.items()]
    return "\n".join([*lines, f"    {State.STOPPED.value} --> [*]", "```"])


def phased() -> str:
    """Return the phases of a reload as a Mermaid picture."""
    lines = ["```mermaid", "flowchart TD"]
    lines += [f'    {phase.value}["{phase.value}: {DOES[phase]}"]' for phase in Phase if phase not in HELD]
    lines.append('    subgraph held["messages are held"]')
    lines += [f'        {phase.value}["{phase.value}: {DOES[phase]}"]' for phase in Phase if phase in HELD]
    lines.append("    end")
    names = [phase.value for phase in Phase]
    lines += [f"    {one} --> {other}" for one, other in pairwise(names)]
    failing = names[: names.index(Phase.SWAP.value)]
    lines += [f"    {name} -. fails .-> undo" for name in failing]
    return "\n".join([*lines, '    undo["undo: the old generation serves on, the report says why"]', "```"])


def listed() -> str:
    """Return the table of hooks."""
    lines = ["| hook | what it does |", "|---|---|"]
    for name, arguments in HOOKS.items():
        text = " ".join((getattr(HookSpecs, name).__doc__ or "").split())
        lines.append(f"| `{name}({', '.join(arguments)})` | {text} |")
    return "\n".join(lines)


def test_the_lifecycle_picture_is_the_table():
    """The picture of the lifecycle is drawn from the table; `python tests/test_docs.py` draws it anew."""
    assert drawn() in LIFECYCLE.read_text()


def test_the_picture_of_a_reload_is_its_phases():
    """The picture of a reload is drawn from its phases; `python tests/test_docs.py` draws it anew."""
    assert phased() in RELOAD.read_text()


def test_the_hook_page_is_the_specification():
    """The table of hooks is made from the specification; `python tests/test_docs.py` makes it anew."""
    assert listed() in HOOK_PAGE.read_text()


def test_every_error_code_is_explained():
    """Every code that the package uses has a row in the list of errors."""
    sources = "".join(path.read_text() for path in (ROOT / "hostcore").rglob("*.py"))
    used = set(re.findall(r"\bHC[1-9]\d\d\b", sources))
    assert used - set(re.findall(r"^\| (HC\d+) ", ERRORS.read_text(), re.M)) == set()


@pytest.mark.parametrize("page", sorted((ROOT / "docs").rglob("*.md")), ids=lambda p: str(p.relative_to(ROOT)))
def test_code_that_a_page_names_is_there(page):
    """Every file of the package that a page names exists."""
    folders = "hostcore|runtime|messaging|hosts|generations|packages|contract"
    for name in re.findall(rf"`((?:{folders})/[\w/]+\.py)`", page.read_text()):
        path = ROOT / name if name.startswith("hostcore/") else ROOT / "hostcore" / name
        assert path.is_file(), f"{page.name} names {name}"


def rewrite(page: Path, mark: str, text: str) -> None:
    """Put `text` between the marks of a page."""
    before, _, rest = page.read_text().partition(f"<!-- {mark}: begin -->")
    after = rest.partition(f"<!-- {mark}: end -->")[2]
    page.write_text(f"{before}<!-- {mark}: begin -->\n{text}\n<!-- {mark}: end -->{after}")


if __name__ == "__main__":
    rewrite(LIFECYCLE, "lifecycle", drawn())
    rewrite(RELOAD, "phases", phased())
    rewrite(HOOK_PAGE, "hooks", listed())
