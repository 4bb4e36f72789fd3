"""Hostile guests for the sandbox of WebAssembly, in its text form: no compiler would let anybody write them.

Each is a core module that is hostile in whatever message it gets; see `core-abi.md` of the guests' interface.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

_FOR_EVER: Final = "(loop $for_ever (br $for_ever))"
BODIES: Final = {
    "wasm-loop": f"{_FOR_EVER} (unreachable)",
    "wasm-trap": "(unreachable)",
    "wasm-stack": "(call $deeper (i32.const 0)) (i64.const 0)",
    "wasm-memory": "(loop $more (br_if $more (i32.ne (memory.grow (i32.const 64)) (i32.const -1))))"
    " (if (i32.gt_u (memory.size) (i32.const 1024)) (then (return (i64.const 0)))) (unreachable)",
    "wasm-pointer": "(i64.const 0x7fff000000100000)",
    "wasm-copy": "(loop $again (memory.fill (i32.const 0) (i32.const 7) (i32.const 131072)) (br $again)) (unreachable)",
}
"""What each does in `handle_message`; whatever is answered has got through, as with more than 64 MiB of memory."""
_TEXT: Final = """(module
  (memory (export "memory") 2)
  (func $deeper (param i32) (call $deeper (i32.add (local.get 0) (i32.const 1))))
  (func (export "hc_abi") (result i32) (i32.const 1))
  (func (export "hc_buf") (param i32) (result i32) (i32.const 4096))
  (func (export "hc_handle_message") (param i32 i32) (result i64) {body}))"""


def write_guest(name: str, folder: Path) -> str:
    """Write a guest into a directory of its own in `folder`; return the file, which is called as the module."""
    import wasmtime

    file = folder / "guests" / name / "hostile.wasm"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(wasmtime.wat2wasm(_TEXT.format(body=BODIES[name])))
    return str(file)
