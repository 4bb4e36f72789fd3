"""The kind of a WebAssembly file, and what is said of files that are something else."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from wasm.support import COMPONENT, CORE, wasm

from hostcore.errors import LoadError
from hostcore.hosts.wasm.kinds import Kind, kind_of


@pytest.mark.parametrize(("text", "kind"), [(CORE, Kind.CORE), (COMPONENT, Kind.COMPONENT)])
def test_the_kind_is_told_from_the_header(text, kind):
    """Core modules and components are told apart by their first eight bytes alone."""
    data = wasm(text)
    assert kind_of(data, module="m", label="m 1.0") is kind
    assert kind_of(data[:8], module="m", label="m 1.0") is kind


@pytest.mark.parametrize(
    ("data", "message", "hint"),
    [
        (b"", "is empty", "build the module"),
        (b"\0", "cut off after 1 bytes", "again"),
        (b"\0asm", "cut off after 4 bytes", "again"),
        (b"\0asm\x01\0\0", "cut off after 7 bytes", "again"),
        (b"\0asm\x02\0\0\0", "a core module of version 2", "current tools"),
        (b"\0asm\x0a\0\x01\0", "a component of version 10", "current tools"),
        (b"\0asm\x01\0\x07\0", "of layer 7 of version 1", "current tools"),
        (b"\x7fELF\x02\x01\x01", "compiled code", "ship the .wasm"),
        (b"(module)", "WebAssembly text", "wasm-tools parse"),
        (b"\xef\xbb\xbf\n  ;; a comment\n;; and another\n(component", "WebAssembly text", "wasm-tools parse"),
        (b"(; a comment ;) (module)", "WebAssembly text", "wasm-tools parse"),
        (b";; nothing else", "is not WebAssembly", "build the module"),
        (b"PK\x03\x04wheel", "starts with 50 4b 03 04", "build the module"),
        (b"import this", "is not WebAssembly", "build the module"),
        (b"\x1b[31m\xff", "starts with 1b 5b 33 31 6d ff,", "build the module"),
    ],
)  # fmt: skip
def test_what_is_something_else_is_named(data, message, hint):
    """What is not WebAssembly of a known version is refused, with what it is and what to do (torture case 27)."""
    with pytest.raises(LoadError) as caught:
        kind_of(data, module="m", label="m 1.0")
    error = caught.value
    assert (error.code, error.module, error.label) == ("HC211", "m", "m 1.0")
    assert message in error.message
    assert hint in error.hint


@given(st.binary(max_size=64) | st.binary(max_size=8).map(lambda rest: b"\0asm" + rest))
def test_any_bytes_have_a_kind_or_the_error(data):
    """Any bytes are a core module, a component, or refused with HC211 in printable text."""
    try:
        kind = kind_of(data, module="m", label="m")
    except LoadError as error:
        assert error.code == "HC211"
        assert error.message.isprintable()
    else:
        assert data[:4] == b"\0asm"
        assert data[4:8] == {Kind.CORE: b"\x01\0\0\0", Kind.COMPONENT: b"\x0d\0\x01\0"}[kind]
