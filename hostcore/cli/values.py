"""Values on the command line: payloads, settings and durations, each with an error that says what was expected."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import click

LIMIT = 32 * 1024 * 1024


def seconds(ctx: click.Context, param: click.Parameter, value: str) -> float:
    """Return the seconds in a duration such as "200ms" or "2s"; a bare number is in seconds."""
    from hostcore.contract.units import parse_duration

    try:
        return parse_duration(float(value) if _is_number(value) else value)
    except ValueError as error:
        raise click.BadParameter(str(error), ctx, param) from None


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def read_data(text: str | None) -> Any:
    """Return the payload that `--data` gives: JSON, "@FILE" with JSON in it, or "-" for standard input.

    Raises:
        click.UsageError: It is not JSON, or the file cannot be read.
    """
    if text is None:
        return None
    if text == "-":
        return parse_json(sys.stdin.buffer.read(LIMIT + 1), "standard input")
    if text.startswith("@"):
        try:
            with Path(text[1:]).open("rb") as file:
                return parse_json(file.read(LIMIT + 1), text[1:])
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else error
            raise click.UsageError(f"--data: {text[1:]!r} cannot be read: {reason}") from None
    return parse_json(text.encode("utf-8", "surrogateescape"), "--data")


def parse_json(data: bytes, where: str) -> Any:
    """Return what the JSON in `data` says; raises click.UsageError if it is none or too long."""
    import msgspec

    if len(data) > LIMIT:
        raise click.UsageError(f"{where}: more than {LIMIT:,} bytes")
    try:
        return msgspec.json.decode(data)
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        reason = "nested too deeply" if isinstance(error, RecursionError) else error
        hint = "; text needs quotes: --data '\"text\"'" if where == "--data" else ""
        raise click.UsageError(f"{where}: not JSON: {reason}{hint}") from None


def read_settings(text: str | None, settings: Iterable[str]) -> dict[str, Any]:
    """Return a module's options: the JSON object in `text`, changed by `settings`, each "key=value".

    A dotted key reaches into a table.  A value that is JSON counts as that, any other as text.

    Raises:
        click.UsageError: `text` is not a JSON object, or a setting has no "=" or no key.
    """
    options = {} if text is None else parse_json(text.encode("utf-8", "surrogateescape"), "--config-json")
    if not isinstance(options, dict):
        raise click.UsageError("--config-json: not a JSON object, as in '{\"start\": 5}'")
    for setting in settings:
        key, equals, value = setting.partition("=")
        if not equals or not all(key.split(".")):
            raise click.UsageError(f"--set: {setting!r} is not key=value, as in start=5")
        _place(options, key.split("."), _value(value), setting)
    return options


def _place(options: dict[str, Any], keys: list[str], value: Any, setting: str) -> None:
    for key in keys[:-1]:
        options = options.setdefault(key, {})
        if not isinstance(options, dict):
            raise click.UsageError(f"--set: {setting!r}: {key!r} is not a table")
    options[keys[-1]] = value


def _value(text: str) -> Any:
    import msgspec

    try:
        return msgspec.json.decode(text.encode("utf-8", "surrogateescape"))
    except (msgspec.DecodeError, ValueError, RecursionError):
        return text
