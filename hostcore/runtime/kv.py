"""A module's own small persistent store: one SQLite file a module, values as MessagePack.

Small: a value has at most `VALUE_LIMIT` bytes, and all of a module's together take `STORE_LIMIT` on disk.  Each `set`
is on disk when it returns, by SQLite's write-ahead log, which costs tens of microseconds; larger or many data belong
into files of the module's own.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hostcore.errors import ContractError, LimitError
from hostcore.messaging import wire

VALUE_LIMIT = 1024 * 1024
KEY_LIMIT = 512
STORE_LIMIT = 64 * 1024 * 1024
"""Bytes that one module's file may have."""


class KeyValueStore:
    """The store of one module; opened when first used.

    `check` is called before everything that is done with it, and raises if the module may not any more.
    """

    def __init__(self, directory: Path, module: str, check: Callable[[], None] = lambda: None) -> None:
        self._module = module
        self._check = check
        # The digest keeps names apart that differ only in case or in letters that a file name cannot have.
        digest = hashlib.blake2b(module.encode(), digest_size=4).hexdigest()
        safe = "".join(c if c.isalnum() or c in "-_" else "_" for c in module)
        directory.mkdir(parents=True, exist_ok=True)
        # Blocking hooks run in a thread of their own; SQLite itself takes one call at a time.
        self._db = sqlite3.connect(
            directory / f"{safe}-{digest}.sqlite3", isolation_level=None, timeout=5.0, check_same_thread=False
        )
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=NORMAL")
        (page,) = self._db.execute("PRAGMA page_size").fetchone()
        self._db.execute(f"PRAGMA max_page_count={STORE_LIMIT // page}")
        self._db.execute("CREATE TABLE IF NOT EXISTS kv (key TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID")

    def get(self, key: str, default: Any = None) -> Any:
        """Return the value under `key`, or `default`."""
        row = self._db.execute("SELECT value FROM kv WHERE key = ?", (self._checked(key),)).fetchone()
        return default if row is None else wire.decode_raw(row[0])

    def set(self, key: str, value: Any) -> None:
        """Put plain data under `key`.

        Raises:
            ContractError: The key is no text of 1 to 512 characters, or the value is not data.
            LimitError: The value is larger than 1 MiB, or the store is full.
        """
        data = wire.encode(value, module=self._module, what=f"the value of key {key!r}", limit=VALUE_LIMIT)
        try:
            self._db.execute("INSERT OR REPLACE INTO kv VALUES (?, ?)", (self._checked(key), data))
        except sqlite3.OperationalError as exc:
            if getattr(exc, "sqlite_errorcode", None) != sqlite3.SQLITE_FULL:
                raise
        else:
            return
        raise LimitError(
            f"the store of {self._module!r} is full: it has {STORE_LIMIT // 1024**2} MiB, or the disk has no more room",
            hint="delete what is not needed; larger data belong into files of the module's own",
        )

    def delete(self, key: str) -> None:
        """Remove `key`, if it is there."""
        self._db.execute("DELETE FROM kv WHERE key = ?", (self._checked(key),))

    def keys(self) -> list[str]:
        """Return all keys, sorted."""
        self._check()
        return [row[0] for row in self._db.execute("SELECT key FROM kv ORDER BY key")]

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def _checked(self, key: str) -> str:
        self._check()
        if not isinstance(key, str) or not 0 < len(key) <= KEY_LIMIT:
            raise ContractError(self._module, f"a key is text of 1 to {KEY_LIMIT} characters, not {key!r:.80}")
        return key
