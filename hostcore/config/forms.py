"""Forms of values that several tables of the configuration have."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Annotated

import msgspec

from hostcore.contract.checking import show, text_form
from hostcore.contract.versions import shorten

_HOST_NAME = r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}"


def _host_name(text: str) -> str:
    if not re.fullmatch(_HOST_NAME, text):
        raise ValueError(f"{shorten(text)} is not a host's name")
    return text


def _path(value: object) -> str:
    text = os.fspath(value) if isinstance(value, os.PathLike) else value
    if not isinstance(text, str) or not text or "\0" in text:
        raise ValueError(f"{show(value)} is not a path")
    try:
        return str(Path(text).expanduser())
    except RuntimeError:
        raise ValueError(f"{text!r} names a home directory that is not known") from None


HostName = Annotated[str, text_form(_host_name, "at most 64 letters, digits and . _ -", pattern=f"^{_HOST_NAME}$")]
PathText = Annotated[
    str, msgspec.Meta(description="a path", extra={"parse": _path}, extra_json_schema={"type": "string"})
]
Count = Annotated[int, msgspec.Meta(ge=0, le=1000, description="an integer from 0 to 1000")]
Share = Annotated[float, msgspec.Meta(ge=0, le=1, description="a number from 0 to 1")]
