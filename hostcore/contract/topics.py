"""Topics: words with dots between, and patterns over them.

In a pattern `*` stands for one word and a final `>` for one or more, as in NATS: `repo.*` matches `repo.changed`
but not `repo.file.changed`; `repo.>` matches both.
"""

from __future__ import annotations

import re

_WORD = r"[^.*>\s\x00-\x1f\x7f\ud800-\udfff]+"
_TOPIC = re.compile(rf"{_WORD}(\.{_WORD})*")
_PATTERN = re.compile(rf"(>|({_WORD}|\*)(\.({_WORD}|\*))*(\.>)?)")
RESERVED = "hostcore."
"""Topics that begin so are the host's own events; modules can listen to them but not publish them."""


def is_topic(text: str) -> bool:
    """Tell whether `text` is a topic that can be published to."""
    return len(text) <= 256 and _TOPIC.fullmatch(text) is not None


def is_pattern(text: str) -> bool:
    """Tell whether `text` is a topic or a pattern that can be subscribed to."""
    return len(text) <= 256 and _PATTERN.fullmatch(text) is not None


def is_wild(pattern: str) -> bool:
    """Tell whether `pattern` can match more than one topic."""
    return "*" in pattern or pattern.endswith(">")


def matches(pattern: str, topic: str) -> bool:
    """Tell whether `topic`, itself no pattern, falls under `pattern`."""
    return pattern == topic or (is_wild(pattern) and includes(pattern, topic))


def includes(pattern: str, other: str) -> bool:
    """Tell whether every topic that falls under the pattern `other` falls under `pattern` too."""
    words, others = pattern.split("."), other.split(".")
    if words[-1] == ">":
        words.pop()
        if len(others) <= len(words):  # the ">" needs at least one word of its own
            return False
        others = others[: len(words)]
    elif len(others) != len(words):
        return False
    return all(a == b or (a == "*" and b != ">") for a, b in zip(words, others, strict=True))
