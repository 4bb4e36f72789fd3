"""Fixtures: the built samples, a process that must be left as it was, and the settings a generation can be in."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from generations.support import PRIVATE, Sample, Setting, build, forget, living, on_path, untouched

from hostcore.generations import Generation


@pytest.fixture(scope="session")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Sample:
    """The sample releases, built once."""
    return build(tmp_path_factory.mktemp("generations"))


@pytest.fixture(scope="module", autouse=True)
def clean_process(sample: Sample) -> Iterator[None]:
    """No test module leaves anything of a generation in the process; the host's libraries are importable."""
    with on_path(sample.host), untouched():
        yield


@pytest.fixture(scope="module")
def setting(request: pytest.FixtureRequest, sample: Sample) -> Iterator[Setting]:
    """A loaded generation of mypkg, in the setting that the parameter names.

    plain: the only one of its names, with nothing private and nothing shared; alone: the same with its private
    dependencies; older, newer: one of two, of which the newer is published; beside_host: the host has imported a
    copy of its own before.
    """
    forget()
    with ExitStack() as stack:
        if request.param == "beside_host":
            stack.enter_context(on_path(sample.host_copy))
            importlib.import_module("mypkg.models")
        yield _enter(request.param, sample, stack)
    forget()


def _enter(name: str, sample: Sample, stack: ExitStack) -> Setting:
    def load(path: str, owned: set[str] | None = None) -> Generation:
        generation = Generation("mypkg", paths=[path], owned=owned, private=PRIVATE)
        stack.enter_context(living(generation))
        generation.load("mypkg")
        generation.publish()
        return generation

    first = load(sample.v1, owned={"mypkg"} if name == "plain" else None)
    if name in ("plain", "alone", "beside_host"):
        return Setting(name, first, "v1")
    second = load(sample.v2)
    return Setting(name, first, "v1") if name == "older" else Setting(name, second, "v2")
