"""What goes over the control socket: JSON, one object a line, UTF-8.

    request   {"hostcore": 1, "id": 7, "method": "modules.info", "params": {"name": "counter"}}
    reply     {"id": 7, "result": {...}}
    failure   {"id": 7, "error": {"type": "UnknownModuleError", "code": "HC401", "exit_code": 1, "text": "..."}}

`hostcore` is the version of this protocol.  Requests of one connection are worked on at once, and each is answered when
it is done: the `id`, a number or text of the client's choice, tells which reply is whose.  It is null in the answer to
a line that could not be read so far.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from hostcore.errors import ControlError, HostcoreError, Problem

VERSION = 1
LINE_LIMIT = 32 * 1024 * 1024
"""The longest line that a host reads, in bytes."""
INTERNAL = "HC900"
BAD_REQUEST = "HC912"
UNKNOWN_METHOD = "HC913"
OTHER_VERSION = "HC914"
BAD_PARAMETERS = "HC915"
HOST_IS_RUNNING = "HC916"
UNSAFE_PLACE = "HC917"

Id = int | str | None


class RemoteError(ControlError):
    """An error that the host replied with.

    Attributes:
        data: The error as `HostcoreError.as_data` made it over there.
    """

    def __init__(self, data: Mapping[str, Any]) -> None:
        super().__init__(str(data.get("text") or "the host replied with an error that has no text"))
        self.data = {"type": "RemoteError", "code": self.code, "exit_code": 1, **data}

    def __str__(self) -> str:
        return self.message

    def as_data(self) -> dict[str, Any]:
        """Return the error as it came."""
        return self.data


def internal_error(error: Exception, hint: str) -> dict[str, Any]:
    """Return a fault of hostcore's own as data, as `HostcoreError.as_data` makes it, with exit code 3."""
    text = f"an error inside hostcore: {type(error).__name__}: {error}"
    internal = HostcoreError(problems=[Problem(text, INTERNAL, hint=hint)])
    return {**internal.as_data(), "type": "InternalError", "exit_code": 3}


def encode_request(identity: Id, method: str, params: Mapping[str, Any]) -> bytes:
    """Return the line of a request.

    Raises:
        ControlError: `params` hold what JSON cannot say.
    """
    return _line({"hostcore": VERSION, "id": identity, "method": method, "params": params}, f"the request {method!r}")


def encode_result(identity: Id, result: Any) -> bytes:
    """Return the line of a reply; raises as `encode_request` does."""
    return _line({"id": identity, "result": result}, "the result")


def encode_error(identity: Id, error: Mapping[str, Any]) -> bytes:
    """Return the line of a failure."""
    try:
        return _line({"id": identity, "error": error}, "the error")
    except ControlError as unsayable:
        return _line({"id": identity, "error": unsayable.as_data()}, "the error")


def decode_reply(line: bytes) -> Any:
    """Return the result in a reply.

    Raises:
        RemoteError: It is a failure.
        ControlError: It is no reply.
    """
    try:
        reply = msgspec.json.decode(line)
    except (msgspec.DecodeError, ValueError, RecursionError):
        reply = None
    if isinstance(reply, dict) and isinstance(reply.get("error"), dict):
        raise RemoteError(reply["error"])
    if not isinstance(reply, dict) or "result" not in reply:
        raise ControlError("the host's reply is not one of hostcore's", hint="is the socket another program's?")
    return reply["result"]


def _line(data: Mapping[str, Any], what: str) -> bytes:
    try:
        return msgspec.json.encode(data) + b"\n"
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        reason = "nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise ControlError(f"{what} cannot be written as JSON: {reason}") from None
