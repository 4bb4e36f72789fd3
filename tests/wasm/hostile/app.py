"""A guest in Python that does what it is told: the payload's code is run, and its `result` is the reply."""

import errno
import json
import os
import socket
import stat
import sys
import time
from typing import Any

from wit_world import exports
from wit_world.imports.types import Capability

MODULES = {"errno": errno, "os": os, "socket": socket, "stat": stat, "sys": sys, "time": time}


def run(code: str, arguments: Any) -> Any:
    scope: dict[str, Any] = {**MODULES, "arguments": arguments, "result": None}
    try:
        exec(code, scope)
    except Exception as exc:
        number = getattr(exc, "errno", None)
        return {"error": type(exc).__name__, "errno": errno.errorcode.get(number, "") if number else ""}
    return scope["result"]


class Lifecycle(exports.Lifecycle):
    def initialize(self, config: str) -> None:
        pass

    def get_capabilities(self) -> list[Capability]:
        return []

    def handle_message(self, topic: str, payload: str) -> str | None:
        given = json.loads(payload)
        return json.dumps(run(given["code"], given.get("arguments")))

    def execute(self, input: str) -> str:
        return input

    def get_state(self) -> str:
        return "null"

    def restore_state(self, state: str) -> None:
        pass

    def shutdown(self) -> None:
        pass
