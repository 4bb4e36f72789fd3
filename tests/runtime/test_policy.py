"""What a policy grants, to native modules and to those in a sandbox."""

from __future__ import annotations

import pytest

from hostcore.contract.manifest import Limits
from hostcore.contract.permissions import Permission
from hostcore.errors import ConfigError
from hostcore.runtime.policy import Policy

ASKED = (Permission("kv"), Permission("bus.send:log.*"))


def test_a_native_module_may_do_everything_by_default() -> None:
    """Without grants of its own a native module has no bounds, whatever its manifest says."""
    grants = Policy().grants_for("counter")
    assert (grants.everything, grants.granted) == (True, ())
    assert grants.allows("net", "127.0.0.1:80")


def test_a_sandboxed_module_gets_what_it_asks_for_by_default() -> None:
    """In a sandbox a module has exactly what its manifest asks for; nothing asked is nothing granted."""
    grants = Policy().grants_for("counter", ASKED)
    assert (grants.everything, grants.granted) == (False, ASKED)
    assert grants.allows("kv", "")
    assert grants.allows("bus.send", "log.warn")
    assert not grants.allows("bus.send", "other")
    nothing = Policy().grants_for("counter", ())
    assert (nothing.everything, nothing.granted) == (False, ())
    assert not nothing.allows("kv", "")


@pytest.mark.parametrize("default", ["allow", "deny"])
@pytest.mark.parametrize("asked", [None, (), ASKED])
def test_explicit_grants_are_all_there_is(default, asked) -> None:
    """A module with grants of its own has exactly these, in a sandbox or not, however much it asks for."""
    grants = Policy(default, {"counter": ["clock"]}).grants_for("counter", asked)
    assert (grants.everything, grants.granted) == (False, (Permission("clock"),))
    assert not grants.allows("kv", "")
    assert not Policy(default, {"counter": []}).grants_for("counter", asked).granted


@pytest.mark.parametrize("asked", [None, (), ASKED])
def test_denied_by_default_is_nothing(asked) -> None:
    """Under "deny" a module without grants has nothing, though its manifest asks."""
    grants = Policy("deny", {"other": ["kv"]}).grants_for("counter", asked)
    assert (grants.everything, grants.granted) == (False, ())
    assert not grants.allows("kv", "")


def test_the_ceiling_is_read_as_a_manifests_limits_are() -> None:
    """A program gives the ceiling with a manifest's keys; every mistake in it is reported."""
    assert Policy(ceiling={"memory": "1MiB", "fuel": 9}).ceiling == Limits(memory=2**20, fuel=9)
    assert Policy().ceiling == Limits()
    with pytest.raises(ConfigError) as caught:
        Policy(ceiling={"memroy": 1, "fuel": 0})
    assert len(caught.value.problems) == 2


def test_grants_show_themselves() -> None:
    """What was granted can be read off."""
    assert repr(Policy().grants_for("x")) == "<ModuleGrants everything>"
    assert repr(Policy().grants_for("x", ASKED)) == "<ModuleGrants ['kv', 'bus.send:log.*']>"
