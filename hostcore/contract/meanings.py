"""What each permission means, in a sentence for who has to decide about it."""

from __future__ import annotations

from hostcore.contract.permissions import Permission

_PLAIN = {
    "kv": "keep small data of its own on this machine",
    "clock": "read the time, and wait",
    "random": "get random numbers",
    "spawn": "start other programs",
}
_OF = {
    "fs.read": "read every file below {0}",
    "fs.write": "read, change and delete every file below {0}",
    "env": "read the environment variable {0}",
    "bus.send": "send and publish messages to {0}",
    "bus.subscribe": "listen to what is published under {0}",
    "bus.request": "ask the module {0}, and read its replies",
    "cap": "use the host's service {0}",
    "net": "connect to {0}",
}
_ALL = {
    "env": "read every environment variable, secrets included",
    "bus.send": "send and publish messages to everybody",
    "bus.subscribe": "listen to everything that is published",
    "bus.request": "ask every module, and read its replies",
    "cap": "use every service of the host",
    "net": "connect to every host of the public internet",
}


def meaning(permission: Permission) -> str:
    """Return what a permission lets a module do."""
    kind, target = permission.kind, permission.target
    if not target:
        return _PLAIN[kind]
    if kind in _ALL and target in ("*", ">") and (target == ">") == kind.startswith("bus."):
        return _ALL[kind]
    if kind == "fs.read" and target == "/":
        return "read every file of this machine that the host can read"
    if kind == "fs.write" and target == "/":
        return "read, change and delete every file that the host can"
    if kind == "bus.request" and any(c in target for c in "*>"):
        return f"ask the modules under {target}, and read their replies"
    if kind == "net" and not target.rpartition(":")[2].isdigit():
        return f"connect to {target}, on every port"
    return _OF[kind].format(target)
