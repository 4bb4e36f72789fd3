"""Core guests as WebAssembly text: one that does something in `hc_handle_message`, and one that asks the host."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from wasm.support import wasm

import hostcore

OUT, SPACE = 32768, 16384
"""Where answers of the host go, and how many bytes of them."""


def data(place: int, content: str | bytes) -> str:
    """Return a data segment."""
    raw = content.encode() if isinstance(content, str) else content
    written = "".join(f"\\{byte:02x}" for byte in raw)
    return f'(data (i32.const {place}) "{written}")'


def guest(body: str, *more: str, pages: int = 2, result: str = "(i64.const 0)") -> str:
    """Return a guest that does `body` with each message; `more` are further fields of its module."""
    return f"""(module
  (import "hostcore" "log" (func $log (param i32 i32 i32)))
  (import "hostcore" "call" (func $call (param i32 i32 i32 i32 i32 i32) (result i64)))
  (memory (export "memory") {pages})
  {" ".join(more)}
  (func (export "hc_abi") (result i32) (i32.const 1))
  (func (export "hc_buf") (param i32) (result i32) (i32.const 4096))
  (func (export "hc_handle_message") (param i32 i32) (result i64) (local $answer i64) {body} {result}))"""


def asking(
    operation: str, argument: str | bytes, *, loop: bool = False, reply: bool = False, function: str = "",
    result: str = "(i64.const 0)",
) -> str:  # fmt: skip
    """Return a guest that asks the host.

    Args:
        operation: What for.
        argument: With which argument.
        loop: Again and again.
        reply: The host's answer is the guest's reply, be it an error or not.
        function: The head of a function that asks; else it is `hc_handle_message`.
        result: What that returns, as in "(i64.const 0)"; "" for nothing.
    """
    raw = argument.encode() if isinstance(argument, str) else argument
    places = f"(i32.const 1024) (i32.const {len(operation)}) (i32.const 2048) (i32.const {len(raw)})"
    asked = f"(call $call {places} (i32.const {OUT}) (i32.const {SPACE}))"
    segments = data(1024, operation), data(2048, raw)
    if function:
        return guest("", *segments, f"{function} (drop {asked}) {result})")
    if reply:
        length = "(i64.and (local.get $answer) (i64.const 0xffffffff))"
        return guest(f"(local.set $answer {asked})", *segments, result=f"(i64.or (i64.const {OUT << 32}) {length})")
    return guest(f"(loop $more (drop {asked}) {'(br $more)' if loop else ''})", *segments)


@asynccontextmanager
async def running(
    folder: Path, text: str, *, permissions: Iterable[str] = (), manifest: str = "", services: Mapping[str, Any] = {},
    **settings: Any,
) -> AsyncIterator[hostcore.ModuleSystem]:  # fmt: skip
    """Give a system with the guest of `text` as the module "g", granted what `permissions` asks for."""
    source = folder / "g.wasm"
    source.write_bytes(wasm(text))
    (folder / "module.toml").write_text(f"[g]\npermissions = {list(permissions)}\n{manifest}\n")
    async with hostcore.ModuleSystem({"policy": {"default": "allow"}, **settings}, services=services) as system:
        await system.load("g", source=source)
        yield system
