"""How WebAssembly modules are compiled and called: `[wasm]`."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from hostcore.contract.checking import doc
from hostcore.contract.units import Duration, Size


class WasmConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How WebAssembly modules are compiled, which is done once for each, and called."""

    calls: Annotated[
        Literal["auto", "fast", "plain"],
        doc("How guests are called; auto: fast, if that knows this wasmtime."),
    ] = "auto"
    compile_time: Annotated[Duration, doc("How long compiling one module may take.")] = 120.0
    compile_memory: Annotated[Size, doc("How much memory compiling one module may take.")] = 2 * 1024**3
    cache_size: Annotated[Size, doc("How much compiled code is kept on disk.")] = 2 * 1024**3
