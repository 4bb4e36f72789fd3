"""A module's own store, by itself: what it holds, and when it is full."""

from __future__ import annotations

from pathlib import Path

import pytest

from hostcore import errors
from hostcore.runtime import kv
from hostcore.runtime.kv import KeyValueStore


def test_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A store that is full refuses what is new, keeps what it has, and has room again for what is deleted."""
    monkeypatch.setattr(kv, "STORE_LIMIT", 512 * 1024)
    store = KeyValueStore(tmp_path, "counter")
    held = 0
    with pytest.raises(errors.LimitError, match="the store of 'counter' is full"):
        for held in range(1000):
            store.set(f"key {held}", bytes(10_000))
    assert 20 <= held <= 52
    assert store.get("key 0") == bytes(10_000)
    for number in range(held):
        store.delete(f"key {number}")
    store.set("again", 1)
    assert store.get("again") == 1
    store.close()
    again = KeyValueStore(tmp_path, "counter")
    assert again.keys() == ["again"]
    again.close()
