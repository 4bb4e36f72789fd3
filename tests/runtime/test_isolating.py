"""Which host runs a release."""

from __future__ import annotations

import pytest

from hostcore.contract.manifest import Manifest
from hostcore.errors import LoadError
from hostcore.packages.locating import Release
from hostcore.runtime.isolating import choose_host, is_sandboxed

PYTHON = Release("echo", "acme:Echo", "acme", "1.0", ("/x",), ("acme",))
BUILT = Release("echo", "acme:Echo", "acme", "1.0", ("/x",), ("acme",), wasm="/x/acme/echo.wasm")
GUEST = Release("echo", "acme:echo.wasm", "acme", "1.0", ("/x",), (), wasm="/x/acme/echo.wasm")


@pytest.mark.parametrize(
    ("release", "needed", "asked", "host"),
    [
        (PYTHON, "native", None, "native"), (PYTHON, "native", "worker", "worker"), (PYTHON, "worker", None, "worker"),
        (BUILT, "native", None, "native"), (BUILT, "native", "wasm", "wasm"), (BUILT, "wasm", None, "wasm"),
        (BUILT, "worker", "wasm+worker", "wasm+worker"), (BUILT, "native", "wasm+worker", "wasm+worker"),
        (GUEST, "native", None, "wasm"), (GUEST, "wasm", "wasm", "wasm"), (GUEST, "worker", None, "wasm+worker"),
        (GUEST, "wasm", "wasm+worker", "wasm+worker"), (PYTHON, "native", "thirdparty", "thirdparty"),
    ],
)  # fmt: skip
def test_the_host_is_what_was_asked_for_or_is_needed(release, needed, asked, host):
    """Nobody asked: the weakest that will do; asked: that one, if it gives all that is needed."""
    assert choose_host(release, Manifest(isolation=needed), asked) == host


@pytest.mark.parametrize(
    ("release", "needed", "asked", "message"),
    [
        (PYTHON, "worker", "native", "isolation 'native' is weaker than 'worker'"),
        (BUILT, "wasm", "worker", "isolation 'worker' is weaker than 'wasm'"),
        (BUILT, "worker", "wasm", "isolation 'wasm' is weaker than 'worker'"),
        (BUILT, "wasm+worker", "wasm", "isolation 'wasm' is weaker than 'wasm+worker'"),
        (GUEST, "native", "native", "isolation 'native' is weaker than 'wasm'"),
        (GUEST, "native", "worker", "isolation 'worker' is weaker than 'wasm'"),
        (GUEST, "native", "thirdparty", "isolation 'thirdparty' is weaker than 'wasm'"),
        (PYTHON, "native", "wasm", "isolation 'wasm' needs a WebAssembly guest"),
        (PYTHON, "wasm", None, "isolation 'wasm' needs a WebAssembly guest"),
        (PYTHON, "native", "wasm+worker", "isolation 'wasm+worker' needs a WebAssembly guest"),
    ],
)
def test_a_host_that_will_not_do_is_refused(release, needed, asked, message):
    """A weaker host is refused, and a sandbox where there is no guest to put into it; the hint says what to do."""
    with pytest.raises(LoadError, match=message.replace("+", r"\+")) as caught:
        choose_host(release, Manifest(isolation=needed), asked)
    assert caught.value.code == "HC209"
    wanted = "hostcore build --wasm" if "guest" in message else "ask for a stronger one"
    assert wanted in caught.value.hint


def test_sandboxes_are_known_by_name():
    """The hosts that run guests are sandboxes, the others are not."""
    assert [is_sandboxed(host) for host in ("native", "worker", "wasm", "wasm+worker")] == [False, False, True, True]
