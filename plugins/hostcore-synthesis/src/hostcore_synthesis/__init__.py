"""A hostcore module that renders Python code from a structured spec.

`execute` renders; "synthesis.counts" tells how often each kind was rendered, which is kept through reloads.

The same source runs in the program, in a worker process and, built with `hostcore build --wasm`, in a sandbox.
"""

from __future__ import annotations

from typing import Any

import hostcore
from hostcore_synthesis.rendering import Renderer
from hostcore_synthesis.shape import read_spec
from hostcore_synthesis.specs import KINDS, SpecError

__all__ = ["SpecError", "Synthesis"]

COUNTS = "synthesis.counts"


class Synthesis:
    """Renders Python code.

    Attributes:
        counts: How often each kind was rendered.
    """

    @hostcore.hookimpl
    def initialize(self) -> None:
        """Begin to count, and make the templates ready."""
        self.counts = dict.fromkeys(KINDS, 0)
        self._renderer = Renderer()

    @hostcore.hookimpl
    def execute(self, request: object) -> dict[str, str]:
        """Render a spec (see `specs`), given as plain data.

        Returns:
            {"kind": the spec's kind, "code": the code, ending with a line break}.

        Raises:
            SpecError: The spec is wrong; every mistake is listed.
        """
        kind, spec = read_spec(request)
        code = self._renderer.render(kind, spec)
        self.counts[kind] += 1
        return {"kind": kind, "code": code}

    @hostcore.hookimpl
    def handle_message(self, message: hostcore.Message[Any]) -> dict[str, int]:
        """Answer "synthesis.counts"."""
        if message.topic != COUNTS:
            raise ValueError(f"unknown topic {message.topic!r}; this module answers {COUNTS!r}")
        return dict(self.counts)

    @hostcore.hookimpl
    def get_state(self) -> dict[str, int]:
        """Return the counts."""
        return dict(self.counts)

    @hostcore.hookimpl
    def restore_state(self, state: dict[str, int]) -> None:
        """Go on counting where the generation before stopped; kinds that are no more are dropped."""
        self.counts = {kind: int(state.get(kind, 0)) for kind in KINDS}
