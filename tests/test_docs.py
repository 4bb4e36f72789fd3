"""The documentation says what the code does."""

import re
from pathlib import Path

import pytest

from hostcore.contract.lifecycle import TRANSITIONS, State

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "architecture" / "lifecycle.md"


def drawn() -> str:
    """Return the lifecycle table as a Mermaid picture."""
    lines = ["```mermaid", "stateDiagram-v2", f"    [*] --> {State.WAITING.value}"]
    for state, moves in TRANSITIONS.items():
        lines += [f"    {state.value} --> {after.value}: {signal.value}" for signal, after in moves.items()]
    return "\n".join([*lines, f"    {State.STOPPED.value} --> [*]", "```"])


def test_the_lifecycle_picture_is_the_table():
    """The picture of the lifecycle is drawn from the table; `python tests/test_docs.py` draws it anew."""
    assert drawn() in PAGE.read_text()


@pytest.mark.parametrize("page", sorted((ROOT / "docs").rglob("*.md")), ids=lambda p: str(p.relative_to(ROOT)))
def test_code_that_a_page_names_is_there(page):
    """Every file of the package that a page names exists."""
    for name in re.findall(r"`((?:hostcore|runtime|messaging|hosts|generations|packages|contract)/[\w/]+\.py)`", page.read_text()):
        path = ROOT / name if name.startswith("hostcore/") else ROOT / "hostcore" / name
        assert path.is_file(), f"{page.name} names {name}"


if __name__ == "__main__":
    before, _, rest = PAGE.read_text().partition("<!-- lifecycle: begin -->")
    after = rest.partition("<!-- lifecycle: end -->")[2]
    PAGE.write_text(f"{before}<!-- lifecycle: begin -->\n{drawn()}\n<!-- lifecycle: end -->{after}")
