r"""Guests written in WebAssembly text, for what no compiler of a language would let anybody write.

    core("(unreachable)")                                   # a core module whose handle_message traps
    core(hooks={"shutdown": "(unreachable)"})               # one that does so when it is to end
    component({"handle-message": "(unreachable)"})          # the same as a component

In a core module the names $log, $call and $read are the host's, the input buffer is at 4096, and the parameters of a
hook are $0, $1.  In a component a hook returns where its result lies: OK for "done, nothing", STATE for the text "{}".
"""

from __future__ import annotations

import functools
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

import wasmtime

from hostcore import guest

BUFFER = 4096
NOTHING = "(i64.const 0)"
OK = "(i32.const 1024)"
STATE = "(i32.const 2048)"
HOST = """
  (import "hostcore" "log" (func $log (param i32 i32 i32)))
  (import "hostcore" "call" (func $call (param i32 i32 i32 i32 i32 i32) (result i64)))
  (import "hostcore" "read" (func $read (param i32 i32) (result i32)))"""
ARGUMENTS = {
    "initialize": 1, "execute": 1, "restore_state": 1, "handle_message": 2, "get_capabilities": 0, "get_state": 0,
    "shutdown": 0, "hooks": 0, "call": 2,
}  # fmt: skip
_TYPES = {
    "initialize": 2, "get-capabilities": 0, "handle-message": 4, "execute": 2, "get-state": 0, "restore-state": 2,
    "shutdown": 0,
}  # fmt: skip
"""Hook of the interface -> how many numbers it takes."""


def binary(text: str) -> bytes:
    """Return the binary form of WebAssembly text."""
    return bytes(wasmtime.wat2wasm(text))


def text(value: str) -> str:
    """Return a literal of WebAssembly text."""
    return '"' + "".join(f"\\{byte:02x}" for byte in value.encode()) + '"'


def core(
    handle: str = NOTHING, *, hooks: Mapping[str, str] | None = None, imports: str = HOST,
    memory: str = '(memory (export "memory") 2)', buffer: str = f"(i32.const {BUFFER})", abi: str = "(i32.const 1)",
    more: str = "", data: str = "",
) -> bytes:  # fmt: skip
    """Return a core module.

    Args:
        handle: The body of `hc_handle_message`.
        hooks: Bodies of further hooks, by the names of the ABI without "hc_".
        imports: What it imports.
        memory: Its memory.
        buffer: The body of `hc_buf`.
        abi: The body of `hc_abi`.
        more: Further parts: functions, tables, a start.
        data: Text that lies at 16 in memory.
    """
    bodies = {"handle_message": handle, **(hooks or {})}
    local = "(local $i i32) (local $n i64)"
    functions = "\n".join(
        f'  (func (export "hc_{name}") {_parameters(ARGUMENTS[name])} (result i64) {local} {body})'
        for name, body in bodies.items()
    )
    return binary(f"""(module {imports}
  {memory}
  (data (i32.const 16) {text(data)})
  (func (export "hc_abi") (result i32) {abi})
  (func (export "hc_buf") (param $0 i32) (result i32) {buffer})
{functions}
  {more})""")


def _parameters(count: int) -> str:
    return " ".join(f"(param ${index} i32)" for index in range(count))


def component(
    hooks: Mapping[str, str] | None = None, *, imports: str = "", more: str = "", wit: str = "", world: str = "module",
    left_out: tuple[str, ...] = (),
) -> bytes:  # fmt: skip
    """Return a component for a world of `hostcore:module`.

    Args:
        hooks: Bodies of hooks, by their names in the interface; the others do nothing.
        imports: What its core module imports.
        more: Further parts of its core module.
        wit: The interface, in place of hostcore's.
        world: The world.
        left_out: Interfaces that are not exported.
    """
    bodies = dict.fromkeys(_TYPES, OK) | {"get-state": STATE} | dict(hooks or {})
    version = "2.0.0" if "@2.0.0" in wit else "1.0.0"
    functions = "\n".join(
        f'  (func (export "hostcore:module/lifecycle@{version}#{name}") {_parameters(_TYPES.get(name, 0))} (result i32)'
        f" (local $i i32) {body})"
        for name, body in bodies.items()
        if "lifecycle" not in left_out
    )
    return _component(
        f"""(module {imports}
  (memory (export "memory") 2)
  (global $top (mut i32) (i32.const 65536))
  (data (i32.const 2048) "\\00\\00\\00\\00\\00\\09\\00\\00\\02\\00\\00\\00")
  (data (i32.const 2304) "{{}}")
  (func (export "cabi_realloc") (param $0 i32) (param $1 i32) (param $2 i32) (param $3 i32) (result i32)
    (i32.and (i32.add (global.get $top) (i32.const 7)) (i32.const -8))
    (global.set $top (i32.add (i32.add (global.get $top) (i32.const 8)) (local.get $3))))
{functions}
  {more})""",
        wit or (guest.interface_dir() / "hostcore-module.wit").read_text(),
        world,
    )


@functools.cache
def parsed(text: str) -> bytes:
    """Return the binary form of a component's text."""
    with tempfile.TemporaryDirectory() as folder:
        here = Path(folder)
        (here / "module.wat").write_text(text)
        tools("parse", "module.wat", "-o", "module.wasm", cwd=here)
        return (here / "module.wasm").read_bytes()


@functools.cache
def _component(module: str, wit: str, world: str) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        here = Path(folder)
        (here / "core.wasm").write_bytes(binary(module))
        (here / "wit").mkdir()
        (here / "wit" / "module.wit").write_text(wit)
        tools("component", "embed", "wit", "core.wasm", "--world", world, "-o", "embedded.wasm", cwd=here)
        tools("component", "new", "embedded.wasm", "-o", "module.wasm", cwd=here)
        return (here / "module.wasm").read_bytes()


def tools(*arguments: str, cwd: Path) -> None:
    """Run wasm-tools."""
    command = [str(Path(sys.executable).parent / "wasm-tools"), *arguments]
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
