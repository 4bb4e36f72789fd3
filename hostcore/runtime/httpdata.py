"""The data of the service "http": what a module gives, what goes to the server, and what comes back.

Headers that concern one connection only, or that say how a body is packed, are the host's own business: a module's are
left out, and so are a server's.  A body comes as text where it is text, else as base64.
"""

from __future__ import annotations

import base64
import binascii
import re
import zlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Literal, NamedTuple

import msgspec
from msgspec import UNSET

from hostcore import __version__
from hostcore.contract.checking import check
from hostcore.contract.units import Duration
from hostcore.errors import ContractError, LimitError, NetworkError, Problem

Headers = list[tuple[str, str]]

MAX_HEADERS = 64 * 1024
"""The most that a request's headers may have together, in characters."""
_ONE_CONNECTION = frozenset({
    "connection", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade",
})  # fmt: skip
_OURS = _ONE_CONNECTION | {"host", "content-length", "accept-encoding", "expect"}
_SECRETS = frozenset({"authorization", "cookie"})
_ABOUT_A_BODY = frozenset({"content-type", "content-encoding", "content-language", "content-location"})
_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*")
_CHARSET = re.compile(r"charset\s*=\s*\"?([\w.:-]+)", re.IGNORECASE)
_TEXT = re.compile(
    r"utf[-_]?(?:8|16|16le|16be|32|32le|32be)|us-ascii|ascii|latin-?1|iso-?8859-\d{1,2}|(?:windows-|cp)\d{3,4}|koi8-[ru]|"
    r"shift[-_]jis|euc-(?:jp|kr)|gb2312|gbk|gb18030|big5",
    re.IGNORECASE,
)


class Asked(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The arguments of a request; of the three bodies at most one is given."""

    url: str
    method: Literal["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"] = "GET"
    headers: dict[str, str] = {}
    body: str | None = None
    body_base64: str | None = None
    json: Any = UNSET
    timeout: Duration | None = None


class Call(NamedTuple):
    """A request as it goes out, without the headers that the host adds."""

    method: str
    headers: Headers
    body: bytes

    def redirected(self, status: int, *, elsewhere: bool) -> Call:
        """Return the request with which a redirect is followed.

        Args:
            status: The status of the redirect.
            elsewhere: It leads to another scheme, host or port, which must not see the module's secrets.
        """
        dropped = _SECRETS if elsewhere else frozenset()
        call = self
        if (status == 303 and self.method != "HEAD") or (status in (301, 302) and self.method == "POST"):
            call, dropped = Call("GET", self.headers, b""), dropped | _ABOUT_A_BODY
        return call._replace(headers=[(name, value) for name, value in call.headers if name.lower() not in dropped])


def read_arguments(arguments: Mapping[str, Any], module: str) -> tuple[Asked, Call]:
    """Return what a module asks for.

    Raises:
        ContractError: Every mistake in it.
    """
    given = {**arguments}
    if isinstance(given.get("method"), str):
        given["method"] = given["method"].upper()
    asked, problems = check(given, Asked, at=("http.request",))
    if asked is not None:
        problems = list(_mistakes(asked))
    if asked is None or problems:
        raise ContractError(module, "the arguments of http.request are wrong", problems=problems)
    body, kind = _body(asked)
    headers = [(name, value.strip(" \t")) for name, value in asked.headers.items() if not _is_ours(name)]
    names = {name.lower() for name, _ in headers}
    if kind and "content-type" not in names:
        headers.append(("Content-Type", kind))
    if "user-agent" not in names:
        headers.append(("User-Agent", f"hostcore/{__version__}"))
    return asked, Call(asked.method, headers, body)


def _mistakes(asked: Asked) -> Iterator[Problem]:
    given = [name for name, value in (("body", asked.body), ("body_base64", asked.body_base64)) if value is not None]
    given += ["json"] if asked.json is not UNSET else []
    if len(given) > 1:
        yield Problem(f"{' and '.join(given)} are given together", where="http.request", hint="give one of them")
    if asked.json is not UNSET and _json(asked.json) is None:
        yield Problem("'json' cannot be written as JSON", where="http.request", hint="give plain data")
    if asked.body_base64 is not None and _decoded(asked.body_base64) is None:
        yield Problem("'body_base64' is not base64", where="http.request")
    if sum(len(name) + len(value) + 4 for name, value in asked.headers.items()) > MAX_HEADERS:
        yield Problem(f"the headers have more than {MAX_HEADERS:,} characters", where="http.request")
    for name, value in asked.headers.items():
        if not _NAME.fullmatch(name) or not _VALUE.fullmatch(value):
            yield Problem(f"header {name[:64]!r} cannot be sent", where="http.request",
                          hint="a name is a word, a value is one line of characters of Latin-1")  # fmt: skip


def _is_ours(name: str) -> bool:
    return name.lower() in _OURS or name.lower().startswith("proxy-")


def _body(asked: Asked) -> tuple[bytes, str]:
    """Return the body and its content type, "" if nothing is known of it."""
    if asked.json is not UNSET:
        return _json(asked.json) or b"", "application/json"
    if asked.body is not None:
        return asked.body.encode(), "text/plain; charset=utf-8"
    return _decoded(asked.body_base64 or "") or b"", ""


def _json(value: Any) -> bytes | None:
    try:
        return msgspec.json.encode(value)
    except (TypeError, ValueError, OverflowError, RecursionError):
        return None


def _decoded(text: str) -> bytes | None:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None


# --- what comes back -----------------------------------------------------------------------------------------------


def answer(status: int, headers: Iterable[tuple[str, str]], body: bytes, url: str, limit: int) -> dict[str, Any]:
    """Return a reply as plain data.

    Args:
        status: Its status.
        headers: Its headers, as they came.
        body: Its body, as it came.
        url: Where it came from in the end.
        limit: The most bytes that the body may have when it is unpacked.

    Raises:
        LimitError: It is larger.
        NetworkError: It is damaged.
    """
    told: dict[str, str] = {}
    for name, value in headers:
        key = name.lower()
        told[key] = f"{told[key]}, {value}" if key in told else value
    packed = told.get("content-encoding", "").strip().lower()
    if packed in ("gzip", "x-gzip", "deflate") and body:
        body = _unpacked(body, limit)
        told.pop("content-encoding")
        told.pop("content-length", None)
    told = {name: value for name, value in told.items() if name not in _ONE_CONNECTION}
    reply: dict[str, Any] = {"status": status, "headers": told, "url": url}
    text = _text(body, told.get("content-type", "")) if "content-encoding" not in told else None
    return {**reply, "body": text} if text is not None else {**reply, "body_base64": base64.b64encode(body).decode()}


def too_large(limit: int) -> LimitError:
    """Return the error for a reply of more than `limit` bytes."""
    return LimitError(
        f"the reply has more than {limit:,} bytes", hint="ask for less, or raise message_limit in the configuration"
    )


def _unpacked(data: bytes, limit: int) -> bytes:
    """Return what `data` holds; a few bytes can hold gigabytes, so no more than `limit` is ever made of them."""
    if data[:2] == b"\x1f\x8b":
        form = zlib.MAX_WBITS + 16
    else:  # "deflate" means zlib's format; some servers leave its head out
        form = zlib.MAX_WBITS if int.from_bytes(data[:2], "big") % 31 == 0 else -zlib.MAX_WBITS
    unpacker = zlib.decompressobj(form)
    try:
        whole = unpacker.decompress(data, limit + 1)
    except zlib.error as error:
        raise NetworkError(f"the reply's body cannot be unpacked: {error}") from None
    if len(whole) > limit:
        raise too_large(limit)
    if not unpacker.eof:
        raise NetworkError("the reply's body ends too early")
    return whole


def _text(body: bytes, content_type: str) -> str | None:
    """Return `body` as text, in the character set that it says or else UTF-8; None if it is none."""
    match = _CHARSET.search(content_type)
    charset = match[1] if match and _TEXT.fullmatch(match[1]) else "utf-8"
    try:
        text = body.decode(charset)
    except (UnicodeError, LookupError):
        return None
    return None if "\0" in text else text
