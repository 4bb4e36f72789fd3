"""The parts of the test of isolation: what it is baited with, what it sees of processes, what it sends."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.hosting import until

from hostcore.messaging import wire
from hostcore.sdk.isolation import processes
from hostcore.sdk.isolation.bait import Bait
from hostcore.sdk.isolation.garbage import payloads
from hostcore.sdk.isolation.places import Trial, trial_config
from hostcore.sdk.isolation.rows import Report, Row, latency_of


@pytest.fixture
def bait(tmp_path: Path) -> Iterator[Bait]:
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "module.py").write_text("x = 1\n")
    (tmp_path / "bait").mkdir()
    bait = Bait(tmp_path / "bait", (tmp_path / "code",))
    yield bait
    bait.close()


def test_untouched_bait(bait: Bait) -> None:
    """As long as nobody reaches for it, nothing is told."""
    assert bait.touched() == []


@pytest.mark.parametrize(
    ("family", "kind", "fact"),
    [
        (socket.AF_INET, socket.SOCK_STREAM, "tcp"),
        (socket.AF_INET, socket.SOCK_DGRAM, "udp"),
        (socket.AF_UNIX, socket.SOCK_STREAM, "unix"),
        (socket.AF_UNIX, socket.SOCK_DGRAM, "unix_datagrams"),
        (socket.AF_UNIX, socket.SOCK_STREAM, "abstract"),
    ],
)
def test_every_listener_hears(bait: Bait, family: int, kind: int, fact: str) -> None:
    """Whoever connects or sends to a listener is noticed, once."""
    value = bait.facts()[fact]
    address = ("127.0.0.1", value) if family == socket.AF_INET else f"\0{value}" if fact == "abstract" else value
    with socket.socket(family, kind) as made:
        made.connect(address)
        made.send(b"x")
        until(bait_heard := Once(bait), "the listener")
    assert len(bait_heard.found) == 1 and "a listener heard from it" in bait_heard.found[0]
    assert bait.touched() == []


class Once:
    """Looks at bait until something is told."""

    def __init__(self, bait: Bait) -> None:
        self.bait = bait
        self.found: list[str] = []

    def __call__(self) -> bool:
        self.found = self.found or self.bait.touched()
        return bool(self.found)


@pytest.mark.parametrize("change", ["write", "delete", "mode"])
def test_a_changed_secret_is_noticed_and_set_right(bait: Bait, change: str) -> None:
    """Its content, its mode, and that it is there at all."""
    file = Path(bait.facts()["secret_file"])
    if change == "write":
        file.write_text("other")
    elif change == "delete":
        file.unlink()
    else:
        file.chmod(0o777)
    assert bait.touched() == ["it changed the secret's file"]
    assert bait.touched() == []
    assert (file.read_text(), file.stat().st_mode & 0o777) == (bait.secret, 0o600)


def test_planted_files_are_noticed_and_taken_away(bait: Bait) -> None:
    """A file in any of the places where nothing may be planted is told of, once."""
    plants = [Path(path) for path in bait.facts()["plants"]]
    assert [path.parent.name for path in plants] == ["bait", "code", "tmp", "shm"]
    for path in plants[:3]:
        path.touch()
        assert bait.touched() == [f"it planted {path}"]
    assert bait.touched() == []


def test_what_others_write_is_left_alone(bait: Bait, tmp_path: Path) -> None:
    """Code that somebody changes meanwhile is not the module's doing, and stays."""
    new = tmp_path / "code" / "new.py"
    new.touch()
    assert bait.touched() == []
    assert new.exists()


def test_processes_below(tmp_path: Path) -> None:
    """Children of children are found, by the kernel's lists or its table; those that have ended are not."""
    code = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'input()'], check=False)"
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE) as child:
        try:
            until(lambda: len(processes.below(child.pid)) == 1, "the child's child")
            below = processes.below(os.getpid())
            assert child.pid in below and len(below) >= 2
            assert child.pid in processes._table()[os.getpid()]
            assert child.pid in processes.children(os.getpid())
            assert processes.bytes_of(child.pid, "VmHWM") > 1024**2
            assert processes.limit_of(child.pid, "Max open files") is not None
        finally:
            assert child.stdin is not None
            child.stdin.close()
    assert child.pid not in processes.below(os.getpid())
    assert (processes.status(2**22 + 1), processes.bytes_of(2**22 + 1, "VmHWM")) == ({}, 0)


def test_payloads_are_data_and_always_the_same() -> None:
    """All can be sent, and the same seed gives the same ones."""
    first, second = ([wire.encode_raw(each) for each in payloads(7, 300)] for _ in range(2))
    assert first == second
    assert len(first) == 300
    assert first != [wire.encode_raw(each) for each in payloads(8, 300)]
    assert len(list(payloads(7, 5))) == 5


def test_a_report_with_a_finding_is_not_ok() -> None:
    """Neither with what got through, nor with processes that were left, nor where nothing was tried."""
    good = Row("a", "", "worker", "contained", "")
    assert Report("", [good]).ok
    assert not Report("", [good, Row("b", "", "worker", "got through", "all of it")]).ok
    assert Report("", [good], left=2).problems() == ["2 processes were left at the end"]
    assert not Report("", [Row("c", "", "worker", "not tried", "")]).ok
    assert not Report("", [good], error="it does not load").ok


def test_latency() -> None:
    """The percentiles are of what was measured, in milliseconds."""
    found = latency_of([number / 1000 for number in range(100, 0, -1)])
    assert (found.count, found.p50, found.p99, found.max) == (100, 51.0, 100.0, 100.0)
    assert latency_of([]).count == 0


def test_a_module_is_tried_with_its_hosts_configuration(tmp_path: Path) -> None:
    """All that the configuration says holds, but for what the test needs: no permissions, own data, no gate."""
    told = {
        "name": "mine", "state_dir": "/somewhere", "disabled": ["echo"], "mailbox": 7,
        "policy": {"gate": True, "default": "allow", "trust": {"modules": ["e*"]}, "isolate": {"echo": "worker"}},
        "modules": {"echo": {"config": {"a": 1}, "isolation": None}},
    }  # fmt: skip
    config = trial_config(Trial("echo", config=told), tmp_path)
    assert (config.mailbox, config.disabled, config.supervision.enabled) == (7, (), False)
    assert config.state_dir == str(tmp_path / "state")
    policy = config.policy
    assert (policy.gate, policy.default, policy.trust.modules) == (False, "deny", ())
    assert policy.isolate == {"echo": "worker"}
    assert config.modules["echo"].config == {"a": 1}
    permitted = trial_config(Trial("echo", config=told, permitted=True), tmp_path)
    assert (permitted.policy.default, permitted.policy.trust.modules) == ("allow", ("e*",))
