"""Any order of loading, publishing and unloading leaves the host's view and every generation's own right."""

from __future__ import annotations

import importlib
import sys
import tempfile
from pathlib import Path

from generations.support import TOPS, tiny
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from hostcore.generations import Generation, installed

VERSIONS = ("1", "2", "3")
AT_MOST = 4


class Lives(RuleBasedStateMachine):
    """Generations of one package come, are used and published, and go."""

    def __init__(self) -> None:
        super().__init__()
        self.living: list[tuple[Generation, str]] = []
        self.published: tuple[Generation, str] | None = None
        self.before = sys.modules

    @initialize()
    def build(self) -> None:
        """Write the releases."""
        self.directory = tempfile.TemporaryDirectory()
        self.paths = {version: tiny(Path(self.directory.name), version) for version in VERSIONS}

    @precondition(lambda self: len(self.living) < AT_MOST)
    @rule(version=st.sampled_from(VERSIONS), name=st.sampled_from(["tiny", "tiny.part", "tiny.other"]))
    def load(self, version: str, name: str) -> None:
        """A new generation comes; it is not the host's unless it is the only one."""
        generation = Generation("tiny", [self.paths[version]])
        self.living.append((generation, version))
        assert version == generation.load(name).VERSION
        if len(self.living) == 1:
            self.published = self.living[0]

    @precondition(lambda self: self.living)
    @rule(data=st.data(), name=st.sampled_from(["tiny", "tiny.part", "tiny.other"]))
    def use(self, data: st.DataObject, name: str) -> None:
        """A generation that lives imports late."""
        generation, version = data.draw(st.sampled_from(self.living))
        assert generation.load("tiny").late() == version
        assert version == generation.load(name).VERSION

    @precondition(lambda self: self.living)
    @rule(data=st.data())
    def publish(self, data: st.DataObject) -> None:
        """A generation becomes the host's."""
        self.published = data.draw(st.sampled_from(self.living))
        self.published[0].publish()

    @precondition(lambda self: self.living)
    @rule(data=st.data())
    def unload(self, data: st.DataObject) -> None:
        """A generation goes; the host has no claim on another unless one only is left, or it was not the host's."""
        gone = data.draw(st.sampled_from(self.living))
        self.living.remove(gone)
        gone[0].unload()
        if self.published == gone:
            self.published = self.living[0] if len(self.living) == 1 else None
        if len(self.living) == 1:
            self.published = self.living[0]

    @invariant()
    def host_sees_the_published(self) -> None:
        """The host's imports and sys.modules agree on the published generation."""
        if self.published is not None:
            assert self.published[1] == importlib.import_module("tiny").VERSION
            assert self.published[1] == sys.modules["tiny"].VERSION
            import tiny.part  # type: ignore[import-not-found]

            assert self.published[1] == tiny.part.VERSION

    @invariant()
    def process_is_as_plain_as_it_can_be(self) -> None:
        """sys.modules is a plain dict with one owner, and nothing is left with none."""
        if len(self.living) <= 1:
            assert sys.modules is self.before
        if len(self.living) == 1:
            assert sys.modules["tiny"] is self.living[0][0].modules["tiny"]
        if not self.living:
            assert installed() == []
            assert [name for name in sys.modules if name.partition(".")[0] in TOPS] == []

    def teardown(self) -> None:
        """Unload what is left."""
        for generation, _ in self.living:
            generation.unload()
        self.living = []
        self.process_is_as_plain_as_it_can_be()
        self.directory.cleanup()


Lives.TestCase.settings = settings(
    max_examples=15, stateful_step_count=20, deadline=None, suppress_health_check=list(HealthCheck)
)
TestLives = Lives.TestCase
