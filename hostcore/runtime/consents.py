"""Consents: what an operator has agreed to, in a file of the host's state directory.

A consent is about one release of one module: its digest, what it asked for, and what of that it was granted.  The file
decides what modules may do, so it has to be the user's alone: it has mode 0600, in a directory of mode 0700, and one
that others could have written is not read.  Hosts and commands that change it at once wait for each other, and it is
replaced whole, so that none of them ever sees half of it.
"""

from __future__ import annotations

import fcntl
import os
import stat
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec

from hostcore.contract.checking import check, text_form
from hostcore.contract.documents import KeyPath, show_path
from hostcore.contract.manifest import Asked, ModuleName
from hostcore.contract.permissions import Permission, growth
from hostcore.errors import ConfigError, DeniedError, Problem

FOLDER, FILE, LOCK = "grants", "grants.json", "grants.lock"
VERSION = 1
KEPT = 16
"""The newest consents of each module that are kept; older releases are asked for again."""
MOST_BYTES = 8 * 1024**2


def _hexadecimal(text: str) -> str:
    if len(text) != 64 or not all(c in "0123456789abcdef" for c in text):
        raise ValueError("this is not a SHA-256 in hexadecimal")
    return text


Digest = Annotated[str, text_form(_hexadecimal, "a SHA-256 in hexadecimal")]


class Consent(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What was agreed to for one release.

    Attributes:
        module: The module's name.
        distribution: The distribution that the release is of.
        publisher: Its author or maintainer, as its metadata has it, or "".
        version: Its version, for people.
        digest: Its SHA-256.
        asked: What it asks for; all of it was decided.
        granted: What of that was granted; the rest was declined.
        when: The time, in ISO 8601.
        how: "asked": somebody said so; "carried": it follows from an earlier release, which asked for no less.
    """

    module: ModuleName
    distribution: str
    publisher: str = ""
    version: str
    digest: Digest
    asked: tuple[Asked, ...]
    granted: tuple[Asked, ...]
    when: str
    how: Literal["asked", "carried"] = "asked"

    def mistakes(self) -> Iterator[tuple[KeyPath, Problem]]:
        """Yield each permission that was granted and not asked for."""
        more = growth(self.granted, self.asked)
        for index, permission in enumerate(self.granted):
            if permission in more:
                yield ("granted", index), Problem(f"{str(permission)!r} is granted, but was not asked for")


class _Book(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The whole file."""

    version: int
    consents: tuple[Consent, ...] = ()


class Consents:
    """The file of consents in a state directory."""

    def __init__(self, directory: Callable[[], Path]) -> None:
        self._directory = directory

    @property
    def path(self) -> Path:
        """Where it is."""
        return self._directory() / FOLDER / FILE

    def all(self) -> tuple[Consent, ...]:
        """Return what has been agreed to, oldest first.

        Raises:
            DeniedError: Others could have written the file (HC605).
            ConfigError: It cannot be read, or is damaged; every mistake is listed.
        """
        path = self.path
        try:
            _check_owner(path.parent, "directory")
            handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
        except FileNotFoundError:
            return ()
        except DeniedError:  # an OSError, too
            raise
        except OSError as error:
            raise _unusable(path, f"cannot be read: {error.strerror}") from None
        try:
            _check_owner(path, "file", os.fstat(handle))
            with os.fdopen(handle, "rb", closefd=False) as file:
                data = file.read(MOST_BYTES + 1)
        finally:
            os.close(handle)
        return _parsed(data, path)

    def of(self, module: str) -> list[Consent]:
        """Return what has been agreed to for a module, oldest first; raises as `all` does."""
        return [consent for consent in self.all() if consent.module == module]

    def record(self, consent: Consent) -> None:
        """Write down a consent, in place of an earlier one for the same release.

        Raises:
            ConfigError, DeniedError: As for `all`; or the file cannot be written.
        """

        def add(known: Iterable[Consent]) -> list[Consent]:
            others = [c for c in known if (c.module, c.digest) != (consent.module, consent.digest)]
            own = [c for c in others if c.module == consent.module]
            dropped = own[: len(own) - KEPT + 1] if len(own) >= KEPT else []
            return [*(c for c in others if c not in dropped), consent]

        self._change(add)

    def withdraw(self, module: str, permissions: Iterable[Permission] | None = None) -> tuple[Permission, ...]:
        """Take back what a module was granted, for each of its releases; return what was.

        Without `permissions` all of it, and with it every decision: the module has to be asked about again.  Raises as
        `record` does.
        """
        taken: dict[Permission, None] = {}
        unwanted = None if permissions is None else tuple(permissions)

        def remove(known: Iterable[Consent]) -> list[Consent]:
            left = []
            for consent in known:
                if consent.module != module:
                    left.append(consent)
                    continue
                kept = () if unwanted is None else growth(consent.granted, unwanted)
                taken.update(dict.fromkeys(each for each in consent.granted if each not in kept))
                if unwanted is not None:
                    left.append(msgspec.structs.replace(consent, granted=kept))
            return left

        self._change(remove)
        return tuple(taken)

    def _change(self, change: Callable[[Iterable[Consent]], list[Consent]]) -> None:
        try:
            with self._locked():
                known = self.all()
                changed = tuple(change(known))
                if changed != known:
                    self._write(changed)
        except DeniedError:
            raise
        except OSError as error:
            raise _unusable(self.path, f"cannot be written: {error.strerror}",
                            "set HOSTCORE_STATE_DIR, or state_dir in the configuration") from None  # fmt: skip

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Keep everybody else, in this process or another, from changing the file."""
        directory = self.path.parent
        directory.parent.mkdir(parents=True, exist_ok=True)
        directory.mkdir(mode=0o700, exist_ok=True)
        _check_owner(directory, "directory")
        handle = os.open(directory / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield
        finally:
            os.close(handle)

    def _write(self, consents: tuple[Consent, ...]) -> None:
        import tempfile  # slow to import, and most only read

        data = msgspec.to_builtins(_Book(version=VERSION, consents=consents), enc_hook=str)
        handle, draft = tempfile.mkstemp(dir=self.path.parent, prefix=f"{FILE}.")  # mode 0600
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(msgspec.json.format(msgspec.json.encode(data), indent=2) + b"\n")
                file.flush()
                os.fsync(file.fileno())
            Path(draft).replace(self.path)
        except BaseException:
            Path(draft).unlink(missing_ok=True)
            raise


def _check_owner(path: Path, kind: str, found: os.stat_result | None = None) -> None:
    found = found or path.lstat()
    problem, hint = "", "look at what it says, then take it: chown, or remove it and grant again"
    wanted, mode = (stat.S_ISDIR, "0700") if kind == "directory" else (stat.S_ISREG, "0600")
    if not wanted(found.st_mode):
        problem, hint = f"is no {kind}", "remove it"
    elif found.st_uid != os.geteuid():
        problem = f"belongs to another user (uid {found.st_uid}, yours is {os.geteuid()})"
    elif found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        problem = f"can be written by other users (mode {stat.S_IMODE(found.st_mode):04o})"
        hint = f"look at what it says, then: chmod {mode} {path}"
    if problem:
        raise DeniedError(f"the {kind} of grants {problem}", code="HC605", where=str(path), hint=hint,
                          expected=f"expected: yours, mode {mode}")  # fmt: skip


def _parsed(data: bytes, path: Path) -> tuple[Consent, ...]:
    if len(data) > MOST_BYTES:
        raise _unusable(path, f"is larger than {MOST_BYTES // 1024**2} MiB")
    try:
        found: Any = msgspec.json.decode(data)
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        reason = "nested too deeply" if isinstance(error, RecursionError) else error
        raise _unusable(path, f"is not JSON: {reason}") from None
    version = found.get("version") if isinstance(found, dict) else None
    if isinstance(version, int) and version != VERSION:
        raise _unusable(path, f"is of version {version}; this hostcore reads version {VERSION}",
                        "use the hostcore that wrote it, or remove it and grant again")  # fmt: skip
    book, problems = check(found, _Book, where=lambda keys: f"{path}  {show_path(keys)}")
    if book is None:
        hint = "correct it, or remove it and grant again"
        raise ConfigError(problems=[p._replace(hint=p.hint or hint) for p in problems])
    return book.consents


def _unusable(path: Path, reason: str, hint: str = "correct it, or remove it and grant again") -> ConfigError:
    return ConfigError(f"the file of grants {reason}", where=str(path), hint=hint)
