"""Messages: the frozen envelope that travels, the message a handler sees, and typed payloads.

A payload is encoded (MessagePack) once by the sender and decoded once by the receiver, each with its own idea of
the type, so two modules, or two generations of one, never share a class or a mutable object.  The envelope
carries the schema, "topic/version", under which the payload was written:

    class ParseSource(hostcore.Payload[Parsed], topic="parser.parse", version=2):
        path: str
        source: str

        @classmethod
        def upcast(cls, data, from_version):           # a version 1 had no path
            return {"path": "<string>", **data}

A receiver with the same version decodes straight away; fields it does not know are ignored.  An older payload goes
through the receiver's `upcast`; a newer one, or one that nobody upcasts, is refused with both versions named.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar, dataclass_transform

import msgspec

R = TypeVar("R")
T = TypeVar("T")


@dataclass_transform(frozen_default=True, field_specifiers=(msgspec.field,))
class PayloadMeta(msgspec.StructMeta):
    """Gives Struct classes the keywords `topic` and `version`."""

    __topic__: str
    __version__: int
    __schema__: str

    def __new__(
        mcls, name: str, bases: tuple[type, ...], namespace: dict[str, Any], *, topic: str = "", version: int = 1,
        **options: Any,
    ) -> Any:  # fmt: skip
        """Create the class; `version` is a positive integer.

        Raises:
            TypeError: The topic is malformed or the version not a positive integer.
        """
        from hostcore.contract.topics import is_topic

        if topic and not is_topic(topic):
            raise TypeError(f"{name}: topic {topic!r} is not words with dots between")
        if type(version) is not int or version < 1:
            raise TypeError(f"{name}: version must be an integer of at least 1, not {version!r}")
        options.setdefault("frozen", True)
        cls = super().__new__(mcls, name, bases, namespace, **options)
        if topic:
            cls.__topic__ = topic
            cls.__version__ = version
            cls.__schema__ = f"{topic}/{version}"
        return cls

    def __init__(cls, name: str, bases: tuple[type, ...], namespace: dict[str, Any], **_: Any) -> None:
        super().__init__(name, bases, namespace)


class Payload(msgspec.Struct, Generic[R], metaclass=PayloadMeta, frozen=True):
    """The base of typed payloads; its type argument is the type of the reply.

    Class keywords: `topic`, under which such payloads are sent, and `version`, the schema's version, a positive
    integer that grows when a field changes its meaning or a required one is added.
    """

    __topic__: ClassVar[str] = ""
    __version__: ClassVar[int] = 1
    __schema__: ClassVar[str] = ""

    if TYPE_CHECKING:

        def __init_subclass__(cls, *, topic: str = "", version: int = 1, **options: Any) -> None: ...

    @classmethod
    def upcast(cls, data: dict[str, Any], from_version: int) -> dict[str, Any]:
        """Return the fields of a payload of an older version in this version's shape.

        Args:
            data: The decoded fields, yours to change.
            from_version: The version under which they were written, lower than this class's.

        Raises:
            NotImplementedError: This type does not know that version (the default).
        """
        raise NotImplementedError


class Envelope(msgspec.Struct, frozen=True, gc=False):
    """What travels between modules.

    `deadline` is absolute, in seconds of the sender's `time.monotonic()` (infinite: none); a transport to another
    process converts it.  `trail` lists the modules whose handlers are waiting for this message, oldest first.
    `hook` is the hook that handles it.
    """

    id: str
    sender: str
    target: str
    topic: str
    schema: str
    payload: bytes
    deadline: float
    trail: tuple[str, ...]
    trace: str
    hook: str = "handle_message"


class Message(msgspec.Struct, Generic[T], frozen=True):
    """What a handler gets.

    Attributes:
        id: Unique in this host.
        topic: The topic it was sent under, or "".
        payload: Plain data, or the type that the handler's annotation names, as in `Message[ParseSource]`.
        sender: The module that sent it; "host" for the program that embeds the system.
        schema: "topic/version" of the sender's payload type; "" where it was untyped.
        deadline: Absolute, in seconds of `time.monotonic()`; infinite where there is none.
        trace: The id of the message with which the whole exchange began.
    """

    id: str
    topic: str
    payload: T
    sender: str
    schema: str
    deadline: float
    trace: str

    def remaining(self) -> float:
        """Return the seconds left until the deadline, never negative."""
        return max(0.0, self.deadline - time.monotonic())
