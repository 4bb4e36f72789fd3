"""Snapshots: a module's state, encoded, with what must be known to read it again.

The bytes share no object with the generation that gave them.  They outlive it: the last good one is there for a
generation that cannot give its state any more, and a kept one for a way back.

*Fields that the older release does not know.*  On the way back to an older release the state holds fields that its code
ignores, and the state which it gives later lacks them.  So they are set aside, and put back the next time that the
state is taken: a way forward loses nothing.  Which they are is found by asking: those that the older release does not
give back right after it was given them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from hostcore.errors import HostcoreError, LimitError, StateError
from hostcore.messaging import wire


class Snapshot(NamedTuple):
    """A module's state at one moment.

    `data` is MessagePack; `version` is that of its shape, `state_version` in the manifest of the release that gave it;
    `generation` is that release's number and `release` its version.
    """

    data: bytes
    version: int
    generation: int
    release: str

    def value(self) -> Any:
        """Return the state, decoded anew."""
        return wire.decode_raw(self.data)


def encode_state(state: Any, *, module: str, label: str, limit: int) -> bytes:
    """Return a module's state as MessagePack.

    Raises:
        StateError: It holds what is not data, or is larger than `limit` bytes.
    """
    try:
        return wire.encode(state, module=module, what="its state", limit=limit)
    except LimitError as error:
        raise StateError(module, error.message, label=label, hint="raise limits.state") from None
    except HostcoreError as error:
        raise StateError(module, error.message, label=label, hint=error.hint) from None


def complete(state: Any, set_aside: Mapping[str, Any]) -> Any:
    """Return `state` with the fields that were set aside for a release that does not know them."""
    if not set_aside or not isinstance(state := _plain(state), dict):
        return state
    return {**{key: value for key, value in set_aside.items() if key not in state}, **state}


def unknown_fields(given: Any, returned: Any) -> dict[str, Any]:
    """Return the fields of the state `given` to a copy that are not in what it `returned` right after."""
    returned = _plain(returned)
    if not isinstance(given, dict) or not isinstance(returned, dict):
        return {}
    return {key: value for key, value in given.items() if key not in returned}


def _plain(state: Any) -> Any:
    """Return a Struct or dataclass as the table that it is encoded to."""
    if isinstance(state, dict) or state is None:
        return state
    try:
        return wire.decode_raw(wire.encode_raw(state))
    except wire.ENCODE_ERRORS:
        return state  # whoever encodes it next says what is wrong
