"""What all errors are made of."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from typing import Any, ClassVar, NamedTuple


class Problem(NamedTuple):
    """One thing that is wrong: what, where, what was expected, and what to do."""

    message: str
    code: str = ""
    where: str = ""
    expected: str = ""
    hint: str = ""

    def render(self, subject: str = "") -> str:
        """Return the problem as text, the first line led by its code and `subject`."""
        lead = " ".join(part for part in (self.code, f"{subject}:" if subject else "") if part)
        lines = [f"{lead} {self.message}".strip()]
        place = "    ".join(part for part in (self.where, self.expected) if part)
        if place:
            lines.append(f"  --> {place}")
        if self.hint:
            lines.append(f"  hint: {self.hint}")
        return "\n".join(lines)


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return "did you mean 'x'?" for the known word nearest to `word`, or ""."""
    near = get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f"did you mean {near[0]!r}?" if near else ""


class HostcoreError(Exception):
    """The base of all errors of hostcore.

    Attributes:
        code: A stable code such as "HC401".
        problems: What is wrong, at least one entry.
    """

    code: str = "HC000"
    exit_code: ClassVar[int] = 1

    def __init__(self, message: str = "", *, code: str = "", hint: str = "", where: str = "", expected: str = "",
                 problems: Sequence[Problem] = ()) -> None:  # fmt: skip
        self.code = code or type(self).code
        self.problems: tuple[Problem, ...] = tuple(problems) or (
            Problem(message, where=where, expected=expected, hint=hint),
        )
        super().__init__(message)

    @property
    def message(self) -> str:
        """The first problem's message, without code, place and hint."""
        return self.problems[0].message

    @property
    def hint(self) -> str:
        """What to do about the first problem, or ""."""
        return self.problems[0].hint

    def subject(self) -> str:
        """Return whom the error is about, as it stands in front of the message."""
        return ""

    def __str__(self) -> str:
        subject = self.subject()
        return "\n".join(p._replace(code=p.code or self.code).render(subject) for p in self.problems)

    def as_data(self) -> dict[str, Any]:
        """Return the error as plain data (JSON): type, code, text and problems."""
        return {
            "type": type(self).__name__,
            "code": self.problems[0].code or self.code,
            "exit_code": self.exit_code,
            "text": str(self),
            "problems": [
                {k: v for k, v in p._asdict().items() if v} | {"code": p.code or self.code} for p in self.problems
            ],
        }
