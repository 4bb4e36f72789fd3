"""What a host is tested against: one module, the same source in the program and in a WebAssembly guest.

The topic of a message says what it does.
"""

from __future__ import annotations

import asyncio
import os
from typing import Any

import hostcore


class Conformance:
    """Counts its messages, and does what the topic says."""

    @hostcore.hookimpl
    def initialize(self, context: hostcore.Context) -> None:
        """Say that it is ready; fail or subscribe where the configuration says so."""
        self.context = context
        self.count = 0
        if "fail" in context.config:
            raise ValueError(context.config["fail"])
        if "subscribe" in context.config:
            context.subscribe(context.config["subscribe"])
        context.log.info("ready")

    @hostcore.hookimpl
    def get_capabilities(self) -> list[str]:
        """Provide one capability."""
        return ["echo/1.0"]

    @hostcore.hookimpl
    async def handle_message(self, message: hostcore.Message[Any]) -> Any:
        """Do what the topic says."""
        action = getattr(self, f"on_{message.topic}", None)
        if action is None:
            raise ValueError(f"unknown topic {message.topic!r}")
        result = action(message)
        return await result if asyncio.iscoroutine(result) else result

    @hostcore.hookimpl
    def execute(self, request: Any) -> Any:
        """Give back the request."""
        return {"echo": request, "count": self.count}

    @hostcore.hookimpl
    def check_health(self) -> bool:
        """Be well."""
        return True

    @hostcore.hookimpl
    def get_state(self) -> Any:
        """Return the count."""
        return {"count": self.count}

    @hostcore.hookimpl
    def restore_state(self, state: Any) -> None:
        """Go on with the count."""
        self.count = state["count"]

    @hostcore.hookimpl
    def shutdown(self) -> None:
        """Say goodbye."""
        self.context.log.info("bye")

    # --- topics ------------------------------------------------------------------------------------------------

    def on_echo(self, message: Any) -> Any:
        self.count += 1
        return message.payload

    def on_count(self, message: Any) -> Any:
        self.count += 1
        return {"count": self.count}

    def on_none(self, message: Any) -> None:
        return None

    def on_fail(self, message: Any) -> None:
        raise ValueError("bad thing")

    def on_trap(self, message: Any) -> None:
        os.abort()

    def on_spin(self, message: Any) -> None:
        while True:
            pass

    def on_recurse(self, message: Any) -> Any:
        return self.on_recurse(message)

    def on_grow(self, message: Any) -> None:
        held = []
        while True:
            held.append(bytes(1024 * 1024))

    def on_log(self, message: Any) -> None:
        self.context.log.warning(message.payload)

    def on_print(self, message: Any) -> None:
        print(message.payload)

    def on_kv(self, message: Any) -> Any:
        self.context.kv.set("k", message.payload)
        return self.context.kv.get("k")

    def on_delete(self, message: Any) -> bool:
        there = self.context.kv.get("k") is not None
        self.context.kv.delete("k")
        return there

    def on_keys(self, message: Any) -> Any:
        keys = self.context.kv.keys()
        return [key for key in keys if key.startswith(message.payload)]

    def on_unsubscribe(self, message: Any) -> None:
        self.context.unsubscribe(message.payload)

    async def on_ask(self, message: Any) -> Any:
        asked = message.payload
        return await self.context.request(asked["target"], asked["payload"], topic=asked["topic"])

    async def on_send(self, message: Any) -> None:
        asked = message.payload
        await self.context.send(asked["target"], asked["payload"], topic=asked["topic"])

    async def on_publish(self, message: Any) -> None:
        await self.context.publish(message.payload["topic"], message.payload["payload"])

    async def on_invoke(self, message: Any) -> Any:
        asked = message.payload
        return await self.context.invoke(asked["capability"], asked["operation"], **asked["args"])

    def on_granted(self, message: Any) -> bool:
        return self.context.granted(message.payload)

    def on_who(self, message: Any) -> Any:
        return {
            "name": self.context.name, "version": self.context.version, "generation": self.context.generation,
            "sender": message.sender, "trace": message.trace, "id": message.id,
        }  # fmt: skip

    async def on_sleep(self, message: Any) -> str:
        await asyncio.sleep(message.payload / 1000)
        return "slept"

    async def on_tasks(self, message: Any) -> Any:
        """Wait for several at once, and for one that takes too long."""
        async with asyncio.timeout(10):
            slept = await asyncio.gather(*(asyncio.sleep(0.001, number) for number in message.payload))
        try:
            await asyncio.wait_for(asyncio.Event().wait(), 0.001)
        except TimeoutError:
            return {"slept": slept, "late": True}
        return None

    def on_config(self, message: Any) -> Any:
        return self.context.config
