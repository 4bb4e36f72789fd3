"""The table of attacks: what each does, and what must become of it."""

from __future__ import annotations

from typing import Any, Final

from hostcore.sdk.isolation.plays import (
    behaves,
    bounded,
    counts,
    dies,
    ends,
    fails,
    few_lines,
    harmless,
    keeps_its_name,
    not_loaded,
    not_replaced,
    refused,
    reloads,
    undone,
    unloads,
)
from hostcore.sdk.isolation.ring import Attack

LIMITS: Final = {"handle_message": "0.3s", "get_state": "0.5s", "restore_state": "0.5s", "shutdown": "0.5s"}
"""The limits of the hostile module in all attacks."""
_MEGABYTE: Final = 1024**2
_SENDER: Final = "hostile-sender"
_MEMORY: Final = {"memory": "64MiB", "handle_message": "3s"}
_SLOW: Final = {"handle_message": "5s"}
_DIED, _LIMIT, _RAISED, _OVERRAN = "HC501", "HC503", "HC302", "HC303"


def _guest(name: str, tried: str, *codes: str) -> Attack:
    return Attack(name, tried, ends(*codes), isolation="wasm", limits={"memory": "64MiB"})


def _native(name: str, tried: str, play: Any, **rest: Any) -> Attack:
    return Attack(name, tried, play, isolation="native", **rest)


CRASHES: Final = (
    Attack("nothing", "behaves", behaves),
    Attack("crash-segfault", "reads from address 0", dies(signal="SIGSEGV")),
    Attack("crash-exit", "calls os._exit", dies(status=3)),
    Attack("crash-abort", "calls abort, as C libraries do", dies(signal="SIGABRT")),
    Attack("crash-kill", "kills itself", dies(signal="SIGKILL")),
    Attack("crash-stack", "overflows the stack of C", harmless(_DIED, _RAISED)),
    Attack("crash-sys-exit", "calls sys.exit", fails(_RAISED)),
    Attack("crash-exceptions", "raises what cannot be shown, 500 times", fails(_RAISED, often=500)),
    Attack("crash-starting", "crashes in initialize", not_loaded(_DIED), in_hook="initialize: crash-segfault"),
    Attack("crash-leaving", "crashes in shutdown", unloads, in_hook="shutdown: crash-segfault"),
    _native("native-sys-exit", "calls sys.exit in the host's process", fails(_RAISED), act="crash-sys-exit"),
    _native("native-exceptions", "raises what cannot be shown, 500 times", fails(_RAISED, often=500),
            act="crash-exceptions"),
)  # fmt: skip
HANGS: Final = (
    Attack("hang-python", "loops for ever", ends(_OVERRAN, _DIED)),
    Attack("hang-stubborn", "loops, and catches all that would end it", ends(_DIED)),
    Attack("hang-c", "loops in C, where no signal is seen to", ends(_DIED)),
    Attack("hang-sigterm", "the same, deaf to every signal", dies(signal="SIGKILL")),
    Attack("hang-stopped", "stops its process", ends(_DIED)),
    Attack(
        "hang-starting",
        "loops in initialize",
        not_loaded(_OVERRAN, _DIED),
        in_hook="initialize: hang-python",
        limits={"initialize": "0.5s"},
    ),
    Attack("hang-leaving", "loops in C in shutdown", unloads, in_hook="shutdown: hang-c"),
    _native("native-hang", "loops for ever in the host's process", fails(_OVERRAN), act="hang-python"),
)
LEAKS: Final = (
    Attack("leak-memory", "keeps 1 MB more with each message", bounded(64 * _MEGABYTE, (_RAISED,), often=100),
           limits=_MEMORY),
    Attack("leak-files", "opens files and keeps them", counts(64, "files"), limits={"files": 64}),
    Attack("leak-threads", "starts 300 threads that wait", harmless(_RAISED, _OVERRAN, _DIED), limits=_MEMORY),
)  # fmt: skip
FLOODS: Final = (
    Attack("flood-log", "logs 30,000 lines", few_lines(_OVERRAN, _DIED), limits=_SLOW),
    Attack("flood-stdout", "writes 48 MB without an end of line", few_lines(_OVERRAN, _DIED), limits=_SLOW),
    Attack("flood-lines", "writes 2.8 million lines", few_lines(_OVERRAN, _DIED), limits=_SLOW),
    Attack("flood-messages", "sends a module 5,000 messages", harmless(_OVERRAN, _DIED), module=_SENDER, limits=_SLOW),
    Attack("flood-requests", "asks it 2,000 things at once", harmless(_OVERRAN, _DIED), module=_SENDER, limits=_SLOW),
    Attack("flood-publish", "publishes 5,000 times", harmless(_OVERRAN, _DIED), module=_SENDER, limits=_SLOW),
    Attack("flood-reply", "replies with 32 MB", fails(_LIMIT), limits=_SLOW),
    Attack("flood-deep", "replies with what is nested too deep", harmless("HC351", _RAISED), limits=_SLOW),
    Attack("escapes", "writes what a terminal would obey", few_lines()),
)
APPETITE: Final = (
    Attack("memory-bomb", "asks for 512 MB", bounded(64 * _MEGABYTE, (_RAISED,)), limits=_MEMORY),
    Attack("memory-doubling", "doubles a list", bounded(64 * _MEGABYTE, (_RAISED,)), limits=_MEMORY),
    Attack("memory-shared", "maps 512 MB of shared memory", bounded(64 * _MEGABYTE, (_RAISED, _DIED)), limits=_MEMORY),
    Attack("memory-files", "fills files that are memory", counts(64 * _MEGABYTE, "bytes"), limits=_MEMORY),
    Attack("cpu-hog", "has four threads use the processors", dies("HC512"), limits={**_SLOW, "cpu": "0.3s"}),
    Attack("fork-bomb", "starts processes", refused()),
    Attack("daemonise", "leaves a process behind", refused()),
)
REACH: Final = (
    Attack("file-secret", "reads a file of the user's, five ways", refused()),
    Attack("file-links", "reads it through links of its own", refused()),
    Attack("file-write", "writes to files, its own code among them", refused()),
    Attack("environment", "looks for a secret in environments", refused()),
    Attack("network", "connects: TCP, UDP, unix sockets, raw", refused()),
    Attack("services", "asks the host for what was not granted", refused()),
    Attack("signals", "signals the host and other workers", refused()),
    Attack("ptrace", "traces them, reads their memory", refused()),
)
FORGERIES: Final = (
    Attack("forge-sender", "asks in somebody else's name", keeps_its_name, module=_SENDER),
    Attack("forge-replies", "answers calls that are not its own", harmless("HC511")),
    Attack("forge-garbage", "writes garbage to its connections", ends("HC511")),
    Attack("forge-long", "announces a frame of 4 GB", ends("HC511")),
    Attack("forge-half", "exits in the middle of a frame", dies(status=0)),
    Attack("forge-stall", "stops in the middle of a frame", ends(_DIED, _OVERRAN, "HC511")),
    Attack("forge-close", "closes its connections", ends(_DIED)),
    Attack("forge-ready", "says what only the host may say", harmless("HC511", _DIED)),
    Attack("forge-flood", "asks without end, reads no answer", harmless("HC511", _DIED, _OVERRAN), limits=_SLOW),
)  # fmt: skip
GUESTS: Final = (
    _guest("wasm-loop", "a guest loops for ever", _OVERRAN),
    _guest("wasm-copy", "it fills memory for ever", _OVERRAN),
    _guest("wasm-trap", "it traps", "HC502"),
    _guest("wasm-stack", "it calls itself without end", "HC506"),
    _guest("wasm-memory", "it takes memory until there is none", "HC504", "HC502"),
    _guest("wasm-pointer", "its reply lies outside of its memory", "HC502"),
)
SPOILS: Final = (
    Attack("state-object", "gives a state that is no data", not_replaced("HC351"), in_hook="get_state: state-object"),
    Attack("state-large", "gives a state of 8 MB, 1 allowed", not_replaced("HC321"), limits={"state": "1MiB"},
           in_hook="get_state: state-large"),
    Attack("state-deep", "gives a state nested too deep", not_replaced("HC351", _RAISED),
           in_hook="get_state: state-deep"),
    Attack("state-hang", "loops in get_state", not_replaced(_OVERRAN), in_hook="get_state: hang-python"),
    Attack("restore-raises", "raises in restore_state", not_replaced(_RAISED), in_hook="restore_state: raise-error"),
    Attack("restore-hangs", "loops in C in restore_state", not_replaced(_DIED), in_hook="restore_state: hang-c"),
    Attack("restore-crashes", "crashes in restore_state", not_replaced(_DIED),
           in_hook="restore_state: crash-segfault"),
    Attack("patch-builtins", "breaks Python's builtins, in its worker", harmless(_RAISED, _DIED)),
    _native("native-patches", "changes the log, a hook, sys.modules", undone, act="patch-gently"),
    Attack("reload-100", "is reloaded again and again", reloads(100)),
    _native("native-reload-100", "the same, in the host's process", reloads(100)),
)  # fmt: skip
GROUPS: Final = {
    "crash": CRASHES, "hang": HANGS, "leak": LEAKS, "flood": FLOODS, "use-up": APPETITE, "reach": REACH,
    "forge": FORGERIES, "state": SPOILS, "guest": GUESTS,
}  # fmt: skip
"""Name of a group -> its attacks."""
ATTACKS: Final = {attack.name: attack for group in GROUPS.values() for attack in group}
"""All by their names, in the order in which they are run."""
