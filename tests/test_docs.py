"""The documentation says what the code does."""

import re
from pathlib import Path

import pytest

from hostcore.contract.lifecycle import TRANSITIONS, State
from hostcore.contract.spec import HOOKS, HookSpecs

ROOT = Path(__file__).parent.parent
LIFECYCLE = ROOT / "docs" / "architecture" / "lifecycle.md"
HOOK_PAGE = ROOT / "docs" / "reference" / "hooks.md"
ERRORS = ROOT / "docs" / "reference" / "errors.md"


def drawn() -> str:
    """Return the lifecycle table as a Mermaid picture."""
    lines = ["```mermaid", "stateDiagram-v2", f"    [*] --> {State.WAITING.value}"]
    for state, moves in TRANSITIONS.items():
        lines += [f"    {state.value} --> {after.value}: {signal.value}" for signal, after in moves.items()]
    return "\n".join([*lines, f"    {State.STOPPED.value} --> [*]", "```"])


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
    rewrite(HOOK_PAGE, "hooks", listed())
