"""Nothing that a wheel holds gets out of the directory it is unpacked into."""

from __future__ import annotations

import struct
import zipfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.distributions import write_wheel

from hostcore.errors import LoadError
from hostcore.packages import wheels
from hostcore.packages.wheels import check, unpack

PACKAGE = "acme_counter/__init__.py"
INFO = "acme_counter-1.0.dist-info"


@pytest.fixture
def wheel(tmp_path: Path) -> Path:
    return write_wheel(tmp_path / "acme_counter-1.0-py3-none-any.whl", {PACKAGE: "x = 1\n"})


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "outer" / "cache"


def refusal(wheel: Path, cache: Path) -> str:
    """Return why `wheel` is refused, once it is sure that nothing was written."""
    with pytest.raises(LoadError) as caught:
        unpack(wheel, cache)
    left = [path for path in cache.parents[1].rglob("*") if path.is_file() and path != wheel]
    assert left == []
    assert not cache.exists() or not list(cache.iterdir())
    return str(caught.value)


def member(name: str, mode: int = 0o100644) -> Callable[[zipfile.ZipFile], None]:
    def add(archive: zipfile.ZipFile) -> None:
        info = zipfile.ZipInfo("placeholder")
        info.filename = name
        info.external_attr = mode << 16
        archive.writestr(info, "/etc/passwd")

    return add


HOSTILE = {
    "parent": (member("../evil.py"), "does not stay in its place"),
    "parent inside": (member("acme_counter/../../evil.py"), "does not stay in its place"),
    "parent through purelib": (member("x.data/purelib/../../../evil.py"), "does not stay in its place"),
    "absolute": (member("/tmp/evil.py"), "is an absolute path"),
    "absolute through purelib": (member("x.data/purelib//tmp/evil.py"), "does not stay in its place"),
    "drive": (member("C:/evil.py"), "is an absolute path"),
    "backslash": (member("..\\evil.py"), "has a character"),
    "dot": (member("./evil.py"), "does not stay in its place"),
    "link": (member("acme_counter/link", 0o120777), "is a link or a device"),
    "fifo": (member("acme_counter/pipe", 0o010644), "is a link or a device"),
    "device": (member("acme_counter/null", 0o020644), "is a link or a device"),
    "twice": (member(PACKAGE), "twice"),
    "twice through purelib": (member(f"x.data/purelib/{PACKAGE}"), "twice"),
    "file and directory": (member("acme_counter"), "as a file and as a directory"),
    "two wheels in one": (member("other-1.0.dist-info/WHEEL"), "2 directories NAME.dist-info"),
}


@pytest.mark.filterwarnings("ignore:Duplicate name:UserWarning")
@pytest.mark.parametrize("kind", HOSTILE)
def test_a_hostile_member_is_refused_before_anything_is_written(wheel: Path, cache: Path, kind: str) -> None:
    """Each way out of the directory is an error HC204 that names the wheel and the reason, and leaves no file."""
    add, words = HOSTILE[kind]
    with zipfile.ZipFile(wheel, "a") as archive:
        add(archive)
    message = refusal(wheel, cache)
    assert words in message
    assert f"HC204 {wheel}" in message


def test_a_name_with_a_zero_byte_is_refused(wheel: Path, cache: Path) -> None:
    """A name that two readers would cut differently is refused."""
    wheel.write_bytes(wheel.read_bytes().replace(b"acme_counter/__init__.py", b"acme_counter/\0_init__.py"))
    assert "has a character" in refusal(wheel, cache)


def test_all_reasons_come_in_one_report(wheel: Path, cache: Path) -> None:
    """A wheel with many bad members is told them all, up to twenty."""
    with zipfile.ZipFile(wheel, "a") as archive:
        for number in range(30):
            member(f"../{number}")(archive)
    message = refusal(wheel, cache)
    assert message.count("does not stay in its place") == 20
    assert "and 10 more" in message


def test_limits_on_size_and_number_are_kept(wheel: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A wheel that would unpack to too much, or to too many files, is refused by what it declares."""
    assert (wheels.MAX_BYTES, wheels.MAX_FILES) == (512 * 1024**2, 20_000)
    with zipfile.ZipFile(wheel, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("zeros", bytes(300_000))
    monkeypatch.setattr(wheels, "MAX_BYTES", 200_000)
    assert "unpacks to 300," in refusal(wheel, cache)
    monkeypatch.setattr(wheels, "MAX_FILES", 3)
    assert "has 6 files" in refusal(wheel, cache)


def test_a_size_that_is_declared_too_small_gains_nothing(wheel: Path, cache: Path) -> None:
    """A bomb that lies about its size is cut off at what it declared, and refused as damaged."""
    with zipfile.ZipFile(wheel, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("bomb", bytes(1_000_000))
    real, false = struct.pack("<L", 1_000_000), struct.pack("<L", 10)
    wheel.write_bytes(wheel.read_bytes().replace(real, false))
    assert "a damaged one" in refusal(wheel, cache)


def flip(data: bytes) -> bytes:
    position = data.index(PACKAGE.encode()) + len(PACKAGE) + 2
    return data[:position] + bytes([data[position] ^ 0xFF]) + data[position + 1 :]


@pytest.mark.parametrize(
    "damage", [flip, lambda data: data[: len(data) // 2], lambda data: b"", lambda data: b"PK" * 99]
)
def test_a_damaged_wheel_is_refused(wheel: Path, cache: Path, damage: Callable[[bytes], bytes]) -> None:
    """A flipped byte, a cut file, an empty one and rubbish are each told as no wheel or a damaged one."""
    wheel.write_bytes(damage(wheel.read_bytes()))
    assert "is no wheel, or a damaged one" in refusal(wheel, cache)


def test_an_encrypted_wheel_is_refused(wheel: Path, cache: Path) -> None:
    """A member that needs a password gives an error and no crash."""
    data = bytearray(wheel.read_bytes())
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        start = data.index(signature)
        data[start + offset] |= 1
    wheel.write_bytes(data)
    assert "encrypted" in refusal(wheel, cache)


def test_a_zip_file_that_is_no_wheel_is_refused(tmp_path: Path, cache: Path) -> None:
    """A zip file without metadata is refused."""
    plain = tmp_path / "plain.whl"
    with zipfile.ZipFile(plain, "w") as archive:
        archive.writestr("x.py", "")
    assert "0 directories NAME.dist-info" in refusal(plain, cache)


def test_a_wheel_for_another_machine_is_refused(tmp_path: Path, cache: Path) -> None:
    """A wheel whose tags fit no interpreter like this one is refused before it is unpacked."""
    wheel = write_wheel(tmp_path / "x.whl", {PACKAGE: ""}, tag="cp27-cp27m-win32")
    assert "is for cp27-cp27m-win32" in refusal(wheel, cache)


def test_code_under_purelib_and_platlib_comes_to_the_top(tmp_path: Path, cache: Path) -> None:
    """Where pip would install the content of `purelib` and `platlib`, there it is unpacked; scripts stay aside."""
    base = "acme_counter-1.0.data"
    files = {f"{base}/purelib/{PACKAGE}": "", f"{base}/platlib/acme_counter/x.py": "", f"{base}/scripts/run": ""}
    target = unpack(write_wheel(tmp_path / "x.whl", files), cache)
    found = {str(path.relative_to(target)) for path in target.rglob("*") if path.is_file() and INFO not in str(path)}
    assert found == {PACKAGE, "acme_counter/x.py", f"{base}/scripts/run"}


def test_many_at_once_unpack_one_wheel(wheel: Path, cache: Path) -> None:
    """Of several that unpack one wheel at the same time all get the same whole directory, and no draft is left."""
    with ThreadPoolExecutor(8) as pool:
        targets = set(pool.map(lambda _: unpack(wheel, cache), range(32)))
    (target,) = targets
    assert (target / PACKAGE).read_text() == "x = 1\n"
    assert list(cache.iterdir()) == [target]


def test_a_cache_that_cannot_be_written_is_told(wheel: Path, tmp_path: Path) -> None:
    """If the cache lies below a file, the error names the cache."""
    (tmp_path / "file").touch()
    with pytest.raises(LoadError, match="cannot be unpacked into"):
        unpack(wheel, tmp_path / "file" / "cache")


@given(st.lists(st.text(), max_size=5))
def test_any_names_are_checked_without_an_exception(names: list[str]) -> None:
    """Whatever members are called, the check ends, and lets nothing through that leads outside."""
    members = [zipfile.ZipInfo(name or "x") for name in names]
    wheel_file = zipfile.ZipInfo(f"{INFO}/WHEEL")
    if not list(check([*members, wheel_file])):
        assert all(Path("/t", wheels.place(info)).is_relative_to("/t") and ".." not in info.filename.split("/")
                   for info in members)  # fmt: skip
