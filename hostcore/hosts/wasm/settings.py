"""How guests are compiled: every setting of wasmtime that matters, named once.

The key of a compiled file is made from these settings too, since wasmtime itself does not notice when some of them
differ (`max_wasm_stack`, the optimisation level).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import wasmtime

STACK = 512 * 1024
"""Bytes of stack that a guest gets where nothing is said."""


class Settings(NamedTuple):
    """What a module's limits change of the engine; guests with equal settings share one.

    Attributes:
        stack: Bytes of stack that a guest may use.
        fuel: Instructions are counted, so that a call ends at the same one each time.
    """

    stack: int = STACK
    fuel: bool = False

    @property
    def key(self) -> str:
        """All that the compiled code depends on, besides the guest and wasmtime's version."""
        return (
            f"stack={self.stack} fuel={self.fuel} epochs=yes threads=no gc=no memory64=no component-async=no "
            "nan=any opt=speed memory=fixed"
        )

    def config(self) -> wasmtime.Config:
        """Return a fresh configuration for an engine."""
        import wasmtime
        from wasmtime import _ffi

        config = wasmtime.Config()
        config.epoch_interruption = True
        config.consume_fuel = self.fuel
        config.max_wasm_stack = self.stack
        config.wasm_threads = False
        config.wasm_memory64 = False
        config.cranelift_opt_level = "speed"
        # Recent advisories let a guest abort its host through the garbage collector.
        config.wasm_gc = False
        # A memory stays where it is, so that the host need not ask again at each call.
        _ffi.wasmtime_config_memory_may_move_set(config.ptr(), False)
        # Calls are on fibers of our own driving; without the machinery for concurrent ones they take a fifth less.
        _ffi.wasmtime_config_wasm_component_model_async_set(config.ptr(), False)
        _ffi.wasmtime_config_concurrency_support_set(config.ptr(), False)
        # A fiber's stack holds the guest's and what the host does in a callback.
        _ffi.wasmtime_config_async_stack_size_set(config.ptr(), self.stack + HOST_STACK)
        return config


HOST_STACK = 1536 * 1024
"""Bytes of a fiber's stack beyond the guest's own, for the host's callbacks."""
