"""Permissions: parsing, and what covers what."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hostcore.contract.permissions import BARE, TARGETED, Permission


@pytest.mark.parametrize("text", [*sorted(BARE), *(f"{kind}:{example}" for kind, example in TARGETED.items())])
def test_every_kind_parses_and_prints(text):
    """Each kind, with the example that messages show, prints as it was written and covers itself."""
    permission = Permission(text)
    assert str(permission) == text
    assert permission.covers(Permission(text))
    assert repr(permission) == f"Permission({text!r})"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "unknown kind ''"), ("fs.reed:/data", "did you mean 'fs.read'"), ("xyzzy", "known: bus.request"),
        ("kv:x", "takes no target"), ("kv:", "takes no target"), ("net", "needs a target"), ("net:", "needs a target"),
        ("fs.read:data", "absolute path"), ("fs.read:/data/../etc", "absolute path"),
        ("fs.read:/a\0b", "absolute path"),
        ("bus.send:a..b", "as in 'bus.send:log"), ("bus.send:a b", "as in"), ("bus.subscribe:>.a", "as in"),
        ("env:A-B", "as in 'env:API_KEY'"), ("env:A\n", "as in"), ("net:https://x", "as in"), ("net:a b", "as in"),
        ("net:x:port", "as in"), ("net:x:0", "as in"), ("net:x:65536", "as in"),
        ("net:[::g]:1", "got '\\[::g\\]:1'"),
        ("net:[1.2.3.4]:80", "as in"), ("net:::1", "as in"), ("net:*:80", "as in"),
        ("cap:-", "as in"), ("KV", "unknown kind"),
        pytest.param("env:" + "A" * 10_000, "as in", id="long"),
    ],
)  # fmt: skip
def test_bad_permission_is_refused(text, says):
    """An unknown kind and a missing, superfluous or malformed target are ValueErrors that say what fits."""
    with pytest.raises(ValueError, match=says) as raised:
        Permission(text)
    assert len(str(raised.value)) < 300


@pytest.mark.parametrize(
    ("granted", "asked"),
    [
        ("fs.read:/data", "fs.read:/data/sub/file"), ("fs.read:/", "fs.read:/etc"), ("fs.read:/data/", "fs.read:/data"),
        ("fs.read:/a//b/./c", "fs.read:/a/b/c"), ("fs.read:/", "fs.read://etc"), ("env:*", "env:HOME"),
        ("net:*", "net:api.example.org:443"), ("net:[::1]:80", "net:[::1]:80"), ("net:a.org", "net:a.org:443"),
        ("net:[::1]", "net:[0:0:0:0:0:0:0:1]:80"), ("net:A.Org:0443", "net:a.oRG:443"),
        ("net:[FE80::A]", "net:[fe80::a]"),
        ("net:my_service", "net:my_service:80"), ("net:10.0.0.1", "net:10.0.0.1:5"), ("cap:*", "cap:http"),
        ("bus.send:log.*", "bus.send:log.warn"), ("bus.send:>", "bus.send:a.b"), ("bus.send:>", "bus.send:*"),
        ("bus.subscribe:repo.>", "bus.subscribe:repo.*"), ("bus.request:*", "bus.request:parser"),
    ],
)  # fmt: skip
def test_covers(granted, asked):
    """A permission covers itself and what lies below it, beneath it or within its pattern."""
    assert Permission(granted).covers(Permission(asked))


@pytest.mark.parametrize(
    ("granted", "asked"),
    [
        ("fs.read:/data", "fs.write:/data"), ("fs.read:/data", "fs.read:/database"),
        ("fs.read:/data/sub", "fs.read:/data"),
        ("env:HOME", "env:*"), ("env:HOME", "env:HOME2"), ("net:a.org:443", "net:a.org"), ("kv", "clock"),
        ("net:a.org", "net:b.a.org:443"), ("net:a.org:44", "net:a.org:443"), ("net:[::1]", "net:[::2]:1"),
        ("net:a.org", "net:*"), ("net:[::]", "net:[::1]"), ("net:localhost", "net:127.0.0.1:80"),
        ("bus.send:log.*", "bus.send:log.>"), ("bus.send:log.*", "bus.send:log"), ("bus.send:*", "bus.send:a.b"),
        ("bus.send:log.x", "bus.send:log.*"), ("bus.send:>", "bus.subscribe:>"),
        ("bus.request:parser", "bus.request:*"),
    ],
)  # fmt: skip
def test_does_not_cover(granted, asked):
    """A permission covers no other kind, no sibling, nothing above it and no wider pattern."""
    assert not Permission(granted).covers(Permission(asked))


def test_permissions_are_values():
    """Two permissions for the same are equal, hash equally and are not their text."""
    assert Permission("fs.read:/data/") == Permission("fs.read:/data")
    assert len({Permission("kv"), Permission("kv")}) == 1
    assert Permission("kv") != "kv"


TARGETS = st.one_of(st.text(), st.from_regex(r"[/a.*>:\[\]0-9_-]{0,20}", fullmatch=True))


@given(st.one_of(st.text(), st.builds("{}:{}".format, st.sampled_from([*BARE, *TARGETED]), TARGETS)))
def test_no_text_crashes_the_parser(text):
    """Any text is a permission that parses back from what it prints as and covers itself, or a ValueError."""
    try:
        permission = Permission(text)
    except ValueError:
        return
    assert Permission(str(permission)) == permission
    assert permission.covers(permission)
