"""The cache's own work, with entries that are not even code: finding, refusing, making room."""

from __future__ import annotations

import gc
import hashlib
import logging
import os
import stat
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from wasm.support import age, fill

from hostcore.hosts.wasm import sealing
from hostcore.hosts.wasm.cache import Cache, entry_name, wasmtime_version
from hostcore.hosts.wasm.kinds import Kind
from hostcore.hosts.wasm.sealing import CODE, SEAL, Damaged, Seal, check_entry, write_seal
from hostcore.hosts.wasm.settings import Settings

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
not_as_root = pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
NAMES = [entry_name(bytes([number]), Settings(), Kind.CORE) for number in range(6)]
NAME = NAMES[0]


def names(place: Path) -> set[str]:
    return {path.name for path in place.iterdir()}


def settled(entry: Path) -> None:
    """Wait until the file system's clock has moved on from the entry's last change."""
    while sealing._stamp(descriptor := os.open(entry / CODE, os.O_RDONLY)) is None:
        os.close(descriptor)
    os.close(descriptor)


# What an entry is named by.


def test_the_name_is_made_of_all_that_the_code_depends_on():
    """Other bytes, another kind or other settings are another entry; the same are the same."""
    asked = [
        (b"a", Settings(), Kind.CORE),
        (b"b", Settings(), Kind.CORE),
        (b"a", Settings(), Kind.COMPONENT),
        (b"a", Settings(fuel=True), Kind.CORE),
        (b"a", Settings(stack=2**20), Kind.CORE),
    ]
    found = [entry_name(*facts) for facts in asked]
    assert len(set(found)) == len(asked)
    assert [entry_name(*facts) for facts in asked] == found
    assert all(name.startswith(f"{wasmtime_version()}-") for name in found)


@given(st.binary(), st.binary())
def test_two_modules_share_an_entry_only_if_they_are_equal(one, other):
    """The name of an entry tells all modules apart."""
    same = entry_name(one, Settings(), Kind.CORE) == entry_name(other, Settings(), Kind.CORE)
    assert same == (one == other)


# Finding.


def test_what_was_published_is_found_by_every_cache_of_the_directory(cache):
    """An entry is there for this process and for the next, and nothing else stands beside it."""
    assert cache.find(NAME) is None
    path = fill(cache, NAME)
    assert path.read_bytes() == b"code"
    assert Cache(cache.directory, 1).find(NAME) == path
    assert names(cache.directory) == {NAME}
    assert names(path.parent) == {CODE, SEAL}


def test_the_directory_is_the_users_alone(cache):
    """The cache's directory and entries have mode 0700, whatever the umask, and its seals 0600."""
    before = os.umask(0)
    try:
        path = fill(cache, NAME)
    finally:
        os.umask(before)
    assert [stat.S_IMODE(p.stat().st_mode) for p in (cache.directory, path.parent)] == [0o700, 0o700]
    assert stat.S_IMODE((path.parent / SEAL).stat().st_mode) == 0o600


def test_a_discarded_draft_leaves_nothing(cache):
    """A draft that is given up is gone, and can be given up twice."""
    draft = cache.draft()
    (draft / CODE).write_bytes(b"half")
    cache.discard(draft)
    cache.discard(draft)
    assert names(cache.directory) == set()


def test_the_first_of_two_publishers_wins(cache):
    """Who publishes what another has published meanwhile uses the other's; both find good code."""
    drafts = [cache.draft(), cache.draft()]
    for draft in drafts:
        (draft / CODE).write_bytes(b"code")
        cache.publish(NAME, draft, hashlib.sha256(b"code").hexdigest())
        assert cache.find(NAME)
    assert not drafts[0].exists()
    cache.discard(drafts[1])
    assert names(cache.directory) == {NAME}


def test_many_threads_publish_and_find_at_once(cache):
    """Threads that publish, find and drop the same entry never see half of one."""
    seen: list[bytes | None] = []

    def work() -> None:
        for turn in range(30):
            draft = cache.draft()
            (draft / CODE).write_bytes(b"code" * 1000)
            try:
                cache.publish(NAME, draft, hashlib.sha256(b"code" * 1000).hexdigest())
                found = cache.find(NAME)
                seen.append(found.read_bytes() if found else None)
            except OSError:
                seen.append(None)  # another thread has dropped it just now
            cache.discard(draft)
            if turn % 7 == 0:
                cache.drop(NAME)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(seen) == 120
    assert set(seen) <= {None, b"code" * 1000}
    assert b"code" * 1000 in seen


# Poisoned entries (torture case 12).


def linked(path: Path, target: Path) -> None:
    """Put a link in the place of `path`, to the very same content."""
    path.rename(target)
    path.symlink_to(target)


def piped(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def exchanged(path: Path) -> None:
    """Change a byte, and put everything about the file back that can be put back."""
    found = path.stat()
    path.write_bytes(b"cod3")
    os.utime(path, ns=(found.st_atime_ns, found.st_mtime_ns))


DAMAGE = {
    "truncated": lambda entry: os.truncate(entry / CODE, 2),
    "empty": lambda entry: os.truncate(entry / CODE, 0),
    "longer": lambda entry: (entry / CODE).write_bytes(b"code and more"),
    "changed, with the times put back": lambda entry: exchanged(entry / CODE),
    "without code": lambda entry: (entry / CODE).unlink(),
    "without a seal": lambda entry: (entry / SEAL).unlink(),
    "an empty seal": lambda entry: (entry / SEAL).write_bytes(b""),
    "a seal that is no JSON": lambda entry: (entry / SEAL).write_bytes(b"\xff{"),
    "a seal of another form": lambda entry: (entry / SEAL).write_bytes(b'{"format":2,"sha256":"0"}'),
    "an endless seal": lambda entry: os.truncate(entry / SEAL, 2**40),
    "a directory as code": lambda entry: ((entry / CODE).unlink(), (entry / CODE).mkdir()),
    "a pipe as code": lambda entry: piped(entry / CODE),
    "a pipe as seal": lambda entry: piped(entry / SEAL),
    "code through a link": lambda entry: linked(entry / CODE, entry.parent.parent / "elsewhere"),
    "a seal through a link": lambda entry: linked(entry / SEAL, entry.parent.parent / "elsewhere"),
    "an entry through a link": lambda entry: linked(entry, entry.parent.parent / "elsewhere"),
    "an entry that others can write to": lambda entry: entry.chmod(0o770),
    "code that others can write to": lambda entry: (entry / CODE).chmod(0o666),
    "a seal that others can write to": lambda entry: (entry / SEAL).chmod(0o622),
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_a_poisoned_entry_is_dropped(cache, caplog, damage):
    """Torture case 12: an entry that is not what was written is never returned; it is dropped, and can be made anew."""
    entry = fill(cache, NAME).parent
    settled(entry)
    assert cache.find(NAME)  # it has a stamp now
    damage(entry)
    assert cache.find(NAME) is None
    assert "is not used, and compiled anew" in caplog.text
    assert names(cache.directory) == set()
    assert fill(cache, NAME).read_bytes() == b"code"


@as_root
@pytest.mark.parametrize("part", ["", CODE, SEAL])
def test_an_entry_of_another_user_is_dropped(cache, caplog, part):
    """Torture case 12: an entry, code or seal that belongs to another user is not used."""
    entry = fill(cache, NAME).parent
    os.chown(entry / part, 65534, 65534)
    assert cache.find(NAME) is None
    assert "belongs to another user (uid 65534)" in caplog.text
    assert fill(cache, NAME)


def test_a_link_in_the_cache_is_not_followed_when_it_is_dropped(cache, tmp_path):
    """Torture case 12: dropping an entry that is a link leaves what it points to."""
    target = tmp_path / "precious"
    target.mkdir()
    (target / CODE).write_bytes(b"mine")
    cache.draft()
    (cache.directory / NAME).symlink_to(target)
    assert cache.find(NAME) is None
    cache.drop(NAME)
    assert (target / CODE).read_bytes() == b"mine"


def test_a_file_in_an_entrys_place_makes_way(cache):
    """Torture case 12: something else where an entry belongs is removed when the entry is published."""
    cache.draft()
    (cache.directory / NAME).write_text("in the way")
    assert fill(cache, NAME).read_bytes() == b"code"


# The stamp that saves comparing all of the code.


def test_an_untouched_file_is_compared_in_full_once(cache):
    """With a fitting stamp the digest is not computed again: a false one goes unnoticed."""
    entry = fill(cache, NAME).parent
    settled(entry)
    assert cache.find(NAME)
    seal = sealing._read_seal(entry)
    assert seal.stamp is not None
    write_seal(entry, Seal(1, "0" * 64, seal.stamp))
    assert check_entry(entry) == entry / CODE


def test_after_a_boot_the_code_is_compared_in_full(cache):
    """A stamp of another boot does not count: what a crash left half written is noticed."""
    entry = fill(cache, NAME).parent
    settled(entry)
    assert cache.find(NAME)
    stamp = sealing._read_seal(entry).stamp
    assert stamp is not None
    older = sealing.Stamp("another boot", *[getattr(stamp, name) for name in stamp.__struct_fields__[1:]])
    write_seal(entry, Seal(1, "0" * 64, older))
    with pytest.raises(Damaged, match="not what was written"):
        check_entry(entry)


def test_a_file_changed_this_moment_gets_no_stamp(cache):
    """A stamp is only given once every further change would show; until then all of the code is compared."""
    entry = fill(cache, NAME).parent
    (entry / CODE).write_bytes(b"code")
    descriptor = os.open(entry / CODE, os.O_RDONLY)
    os.utime(descriptor, ns=(0, 2**62))
    assert sealing._stamp(descriptor) is None
    os.close(descriptor)


@given(st.binary(max_size=300))
def test_any_seal_is_read_or_refused(tmp_path_factory, data):
    """Whatever stands in a seal, the entry is good or damaged, and nothing else happens."""
    entry = tmp_path_factory.mktemp("entry")
    (entry / CODE).write_bytes(b"code")
    (entry / SEAL).write_bytes(data)
    with pytest.raises(Damaged):
        check_entry(entry)


# Directories that cannot be used.


def test_a_directory_that_others_could_write_to_is_closed_and_emptied(cache, caplog):
    """Torture case 12: what others could have put into the cache is not used, and the directory is repaired."""
    fill(cache, NAME)
    cache.directory.chmod(0o777)
    again = Cache(cache.directory, 2**30)
    assert again.find(NAME) is None
    assert "could write to the cache" in caplog.text
    assert stat.S_IMODE(cache.directory.stat().st_mode) == 0o700
    assert fill(again, NAME).is_relative_to(cache.directory)


@as_root
def test_a_directory_of_another_user_is_left_alone(cache, caplog):
    """Torture case 12: in a directory of another user nothing is used, written or changed."""
    fill(cache, NAME)
    os.chown(cache.directory, 65534, 65534)
    again = Cache(cache.directory, 2**30)
    assert again.find(NAME) is None
    assert not fill(again, NAME).is_relative_to(cache.directory)
    assert "is not used: it belongs to another user (uid 65534)" in caplog.text
    assert names(cache.directory) == {NAME}


def test_where_no_directory_can_be_a_private_one_serves(tmp_path, caplog):
    """A file in the directory's place leaves the process with a cache of its own, and is told once."""
    (tmp_path / "cache").write_text("a file")
    cache = Cache(tmp_path / "cache", 2**30)
    paths = [fill(cache, name) for name in NAMES]
    assert [cache.find(name) for name in NAMES] == paths
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    assert "this process keeps its own in" in caplog.text
    private = paths[0].parent.parent
    assert stat.S_IMODE(private.stat().st_mode) == 0o700
    assert str(private) in repr(cache)
    del cache
    gc.collect()
    assert not private.exists()


@not_as_root
def test_a_read_only_directory_is_read(cache):
    """Entries in a directory that cannot be written are used; new ones go into a private directory."""
    kept = fill(cache, NAME)
    cache.directory.chmod(0o500)
    try:
        again = Cache(cache.directory, 2**30)
        assert again.find(NAME) == kept
        assert not fill(again, NAMES[1]).is_relative_to(cache.directory)
    finally:
        cache.directory.chmod(0o700)


def test_after_a_retreat_both_places_are_searched(cache):
    """A cache that has retreated still finds what it had, and drops it where it is."""
    kept = fill(cache, NAME)
    cache.retreat("is full")
    new = fill(cache, NAMES[1])
    assert cache.find(NAME) == kept
    assert not new.is_relative_to(cache.directory)
    cache.drop(NAME)
    assert not kept.exists()


def test_a_directory_that_vanishes_is_made_again(cache):
    """Whoever clears the whole cache while a host runs only costs it the compiled code."""
    fill(cache, NAME)
    cache.drop(NAME)
    cache.directory.rmdir()
    assert cache.find(NAME) is None
    assert fill(cache, NAME).is_relative_to(cache.directory)


# Making room.


def test_the_least_recently_used_go_first(tmp_path):
    """Beyond its size the cache drops what was used longest ago; a use makes an entry the newest."""
    cache = Cache(tmp_path / "cache", 3000)
    entries = [fill(cache, name, bytes(1000)).parent for name in NAMES[:3]]
    for number, entry in enumerate(entries):
        age(entry / SEAL, 9000 - number)
    cache.find(NAMES[0])
    fill(cache, NAMES[3], bytes(1000))
    assert names(cache.directory) == {NAMES[0], NAMES[2], NAMES[3]}


def test_what_was_just_used_stays(tmp_path):
    """An entry that was used in the last minute stays, even in a cache that is too small for it."""
    cache = Cache(tmp_path / "cache", 1)
    for name in NAMES[:3]:
        fill(cache, name, bytes(1000))
    assert names(cache.directory) == set(NAMES[:3])
    for name in NAMES[:3]:
        age(cache.directory / name / SEAL, 61)
    cache.evict(cache.directory)
    assert names(cache.directory) == set()


def test_an_open_file_outlives_its_entry(tmp_path):
    """Who has an evicted entry's code open or mapped keeps it."""
    cache = Cache(tmp_path / "cache", 1)
    path = fill(cache, NAME)
    with path.open("rb") as file:
        cache.drop(NAME)
        assert file.read() == b"code"
    assert cache.find(NAME) is None


def test_what_is_left_behind_goes_and_what_is_not_ours_stays(cache):
    """Old drafts go, fresh ones stay; entries of another wasmtime go after a week; other files are not touched."""
    other = f"1.0.0-{'a' * 64}"
    recent = f"1.0.0-{'b' * 64}"
    old, fresh = cache.draft(), cache.draft()
    for name in (other, recent):
        fill(cache, name)
    (cache.directory / "notes.txt").write_text("mine")
    age(old, 2 * 86400)
    age(cache.directory / "notes.txt", 99 * 86400)
    age(cache.directory / other / SEAL, 8 * 86400)
    age(cache.directory / recent / SEAL, 6 * 86400)
    fill(cache, NAME)
    assert names(cache.directory) == {fresh.name, recent, "notes.txt", NAME}
