"""What a policy gives to modules by itself, whom it trusts, and where they have to run."""

from __future__ import annotations

import pytest

from hostcore.contract.manifest import Limits
from hostcore.contract.permissions import Permission
from hostcore.errors import ConfigError
from hostcore.runtime.policy import CONFINED, GRANTED, IN_PROCESS, TRUSTED, Asker, Bounds, Policy

ASKED = (Permission("kv"), Permission("bus.send:log.*"))
COUNTER = Asker("counter", "acme-counter", "Ada <ada@acme.example>")
CONFINING = ("worker", "wasm", "wasm+worker", "of-somebody-else")
HOSTS = ("native", *CONFINING)


@pytest.mark.parametrize("default", ["ask", "allow"])
def test_a_native_module_may_do_everything(default) -> None:
    """In the host's process a module is trusted, whatever its manifest says: nothing could keep its code from it."""
    assert Policy(default).bounds(COUNTER, "native", ASKED) == Bounds(IN_PROCESS, everything=True)


@pytest.mark.parametrize("host", CONFINING)
def test_by_default_somebody_is_asked(host) -> None:
    """Outside of the process a module has nothing by itself; one that asks for nothing needs nobody's consent."""
    assert Policy().bounds(COUNTER, host, ASKED) == Bounds(GRANTED, consent=True)
    assert Policy().bounds(COUNTER, host, ()) == Bounds(CONFINED)


@pytest.mark.parametrize("host", CONFINING)
def test_allowed_by_default_is_what_it_asks_for(host) -> None:
    """Under "allow" it has exactly what its manifest asks for; nothing asked is nothing granted."""
    assert Policy("allow").bounds(COUNTER, host, ASKED) == Bounds(TRUSTED, ASKED)
    assert Policy("allow").bounds(COUNTER, host, ()) == Bounds(CONFINED)


@pytest.mark.parametrize("host", HOSTS)
def test_denied_by_default_is_nothing(host) -> None:
    """Under "deny" a module without grants has nothing, wherever it runs, though its manifest asks."""
    trust = IN_PROCESS if host == "native" else CONFINED
    assert Policy("deny", {"other": ["kv"]}).bounds(COUNTER, host, ASKED) == Bounds(trust)


@pytest.mark.parametrize("default", ["ask", "allow", "deny"])
@pytest.mark.parametrize("host", HOSTS)
@pytest.mark.parametrize("asked", [(), ASKED])
def test_explicit_grants_are_all_there_is(default, host, asked) -> None:
    """A module with grants of its own has exactly these, wherever it runs, however much it asks for."""
    bounds = Policy(default, {"counter": ["clock"]}).bounds(COUNTER, host, asked)
    assert (bounds.granted, bounds.everything, bounds.consent) == ((Permission("clock"),), False, False)
    assert Policy(default, {"counter": []}).bounds(COUNTER, host, asked).granted == ()


@pytest.mark.parametrize(
    "trust",
    [
        {"modules": ["counter"]}, {"modules": ["count*"]}, {"distributions": ["Acme_*"]},
        {"distributions": ["acme.counter"]}, {"publishers": ["*@ACME.example>"]},
    ],
)  # fmt: skip
@pytest.mark.parametrize("default", ["ask", "deny"])
def test_who_is_trusted_gets_what_it_asks_for(trust, default) -> None:
    """Trust goes by the name of the module, by that of the distribution as indexes compare it, or by the publisher."""
    policy = Policy(default, trust=trust)
    assert policy.trusts(COUNTER)
    assert policy.bounds(COUNTER, "worker", ASKED) == Bounds(TRUSTED, ASKED)
    assert policy.bounds(COUNTER, "native", ASKED) == Bounds(IN_PROCESS, everything=True)
    assert not policy.trusts(Asker("other", "other-counter", "Bob <bob@acme.example.org>"))


def test_nobody_is_trusted_for_what_is_not_said_of_him() -> None:
    """A module without distribution or publisher falls under no pattern of those."""
    policy = Policy(trust={"distributions": ["?*x"], "publishers": ["?*x"]})
    assert not policy.trusts(Asker("x"))
    assert policy.trusts(Asker("m", "index")) is True


def test_where_modules_have_to_run() -> None:
    """`isolation` holds for who is not trusted, `isolate` for everybody of that name; together they add up."""
    policy = Policy(isolation="worker", isolate={"count*": "wasm"}, trust={"distributions": ["acme-*"]})
    assert policy.floor(COUNTER) == "wasm"
    assert policy.floor(Asker("counter", "other")) == "wasm+worker"
    assert policy.floor(Asker("x", "acme-x")) == "native"
    assert policy.floor(Asker("x", "other")) == "worker"
    assert Policy(isolate={"Acme.*": "worker"}).floor(COUNTER) == "worker"
    assert Policy().floor(COUNTER) == "native"


def test_who_is_observed() -> None:
    """All modules, some by name or pattern, or none."""
    assert [Policy(observe=it).observes("counter") for it in (True, False, ["count*"], [])] == [
        True,
        False,
        True,
        False,
    ]
    assert not Policy().observes("counter")


def test_a_program_states_what_a_configuration_can() -> None:
    """A program gives the same keys; every mistake is reported, in the same words."""
    assert Policy(ceiling={"memory": "1MiB", "fuel": 9}).ceiling == Limits(memory=2**20, fuel=9)
    assert (Policy().ceiling, Policy().sandbox, Policy().gate) == (Limits(), "none", False)
    assert (Policy(sandbox="files", gate=True).sandbox, Policy(gate=True).gate) == ("files", True)
    with pytest.raises(ConfigError) as caught:
        Policy(ceiling={"memroy": 1, "fuel": 0})
    assert len(caught.value.problems) == 2
    with pytest.raises(ConfigError) as caught:
        Policy(isolation="strong", sandbox="most", observ=True)
    assert len(caught.value.problems) == 3
    with pytest.raises(ValueError, match="'ask', 'allow' or 'deny'"):
        Policy("maybe")
    with pytest.raises(ValueError, match="not a permission"):
        Policy(grants={"x": ["kvv"]})
    assert repr(Policy("deny", {"x": []})) == "Policy('deny', grants for 1 modules)"
