"""Which kind of WebAssembly a file holds, told from its first eight bytes.

They are the magic number, a version and a layer: layer 0 is a core module, layer 1 a component.  Everything else is
refused with what it most likely is, since each mistake has a repair of its own: text has to be assembled, a cut file
fetched again, a component of a draft format built anew.  Compiled code is refused whoever sends it: wasmtime runs
what such a file says, unchecked, so the host loads only what it compiled itself.
"""

from __future__ import annotations

import enum
from typing import NamedTuple

from hostcore.errors import LoadError

MAGIC = b"\0asm"
HEADER = 8
INVALID = "HC211"
"""The code of the error for a file that is not WebAssembly that this host runs."""

_BUILD = "build the module anew as a WebAssembly component or core module (.wasm)"


class Kind(enum.Enum):
    """What a guest is: a component with interfaces, or a core module with the small ABI of hostcore."""

    COMPONENT = "component"
    CORE = "core"


_KINDS = {b"\x0d\x00\x01\x00": Kind.COMPONENT, b"\x01\x00\x00\x00": Kind.CORE}


class _Mistake(NamedTuple):
    message: str
    hint: str


def kind_of(data: bytes, *, module: str, label: str) -> Kind:
    """Return the kind of the WebAssembly in `data`; only its header is looked at.

    Args:
        data: The whole file.
        module: The module's name, for the error.
        label: The module's label, for the error.

    Raises:
        LoadError: It is not WebAssembly, or of a version that this host does not run (HC211).
    """
    kind = _KINDS.get(data[4:HEADER]) if data.startswith(MAGIC) else None
    if kind is not None:
        return kind
    message, hint = _mistake(data)
    raise LoadError(module, message, code=INVALID, label=label, hint=hint)


def _mistake(data: bytes) -> _Mistake:
    if not data:
        return _Mistake("its WebAssembly file is empty", _BUILD)
    if data.startswith(MAGIC):
        return _other_version(data)
    if MAGIC.startswith(data):
        return _cut(data)
    if data.startswith(b"\x7fELF"):
        return _Mistake(
            "its file is compiled code (ELF, as in a .cwasm or .so), which is never loaded from a package",
            "ship the .wasm that it was compiled from; the host compiles it and keeps the result in its own cache",
        )
    if _is_text(data):
        return _Mistake("its file is WebAssembly text, not the binary format",
                        "assemble it: wasm-tools parse MODULE.wat -o MODULE.wasm")  # fmt: skip
    return _Mistake(f"its file is not WebAssembly: it starts with {data[:HEADER].hex(' ')}, not 00 61 73 6d", _BUILD)


def _cut(data: bytes) -> _Mistake:
    return _Mistake(f"its WebAssembly file is cut off after {len(data)} bytes, in the header of {HEADER}",
                    "copy or build the file again")  # fmt: skip


def _other_version(data: bytes) -> _Mistake:
    if len(data) < HEADER:
        return _cut(data)
    version, layer = int.from_bytes(data[4:6], "little"), int.from_bytes(data[6:8], "little")
    what = {0: "a core module", 1: "a component"}.get(layer, f"of layer {layer}")
    return _Mistake(f"its WebAssembly is {what} of version {version}; known are core modules of version 1 and "
                    "components of version 13", "build it with current tools")  # fmt: skip


def _is_text(data: bytes) -> bool:
    """Tell whether the text format starts here: white space and line comments, then a parenthesis."""
    start = data[:4096].removeprefix(b"\xef\xbb\xbf").lstrip()
    while start.startswith(b";;"):
        start = start.partition(b"\n")[2].lstrip()
    return start.startswith((b"(module", b"(component", b"(;", b"(func", b"(memory", b"(import", b"(export", b"(type"))
