"""Consents: judged by digest and set, kept in a file that only its owner can write."""

from __future__ import annotations

import json
import multiprocessing
import os
from pathlib import Path

import msgspec
import pytest
from contract.test_grants import SETS
from hypothesis import given, settings
from hypothesis import strategies as st

from hostcore.contract.permissions import Permission, growth
from hostcore.errors import ConfigError, DeniedError
from hostcore.runtime.consents import KEPT, Consent, Consents
from hostcore.runtime.permits import judge
from hostcore.runtime.policy import Asker
from hostcore.runtime.refusals import Refusals

ASKER = Asker("m", "acme-m", "Ada")
DIGESTS = [f"{number:064x}" for number in range(40)]


def consent(asked: str = "kv clock", granted: str | None = None, digest: int = 0, **more) -> Consent:
    """Return a consent to what `asked` lists."""
    texts = asked if granted is None else granted
    return Consent(**{
        "module": "m", "distribution": "acme-m", "publisher": "Ada", "version": "1.0", "digest": DIGESTS[digest],
        "asked": tuple(map(Permission, asked.split())), "granted": tuple(map(Permission, texts.split())),
        "when": "2026-01-01T00:00:00+00:00", **more,
    })  # fmt: skip


def told(known: list[Consent], asked: str, digest: int = 0, asker: Asker = ASKER) -> tuple[str, str]:
    """Return what is granted and what is missing, as text."""
    verdict = judge(known, asker, tuple(map(Permission, asked.split())), DIGESTS[digest])
    return " ".join(map(str, verdict.granted)), " ".join(map(str, verdict.missing))


# --- judging -------------------------------------------------------------------------------------------------------


def test_without_consent_everything_is_missing() -> None:
    """Nobody was asked: nothing is granted, all is missing."""
    assert told([], "kv clock") == ("", "kv clock")
    assert told([consent(module="other")], "kv") == ("", "kv")


def test_the_release_that_was_agreed_to_has_what_it_was_granted() -> None:
    """What was declined is decided, too: it is neither granted nor missing."""
    assert told([consent()], "kv clock") == ("kv clock", "")
    assert told([consent(granted="kv")], "kv clock") == ("kv", "")
    assert told([consent("fs.read:/a", "fs.read:/a/b")], "fs.read:/a") == ("fs.read:/a/b", "")


def test_another_release_that_asks_for_no_more_goes_on_with_it() -> None:
    """The consent is carried over, for what is still asked, and says so."""
    asked = tuple(map(Permission, ["kv", "fs.read:/a/b"]))
    verdict = judge([consent("kv clock fs.read:/a")], ASKER, asked, DIGESTS[1])
    assert (verdict.granted, verdict.missing) == (asked, ())
    assert verdict.carried is not None
    assert (verdict.carried.how, verdict.carried.digest, verdict.carried.asked) == ("carried", DIGESTS[1], asked)
    assert told([consent(granted="kv")], "clock", 1) == ("", "")


def test_growth_needs_consent_again() -> None:
    """One permission more, or a wider one, is missing; and a release that asked for less counts as the one before."""
    assert told([consent()], "kv clock random", 1) == ("kv clock", "random")
    assert told([consent("fs.read:/a/b")], "fs.read:/a", 1) == ("fs.read:/a/b", "fs.read:/a")
    narrower = [consent("kv clock", digest=0), consent("kv", digest=1, how="carried")]
    assert told(narrower, "kv clock", 2) == ("kv", "clock")
    assert told(narrower, "kv clock", 0) == ("kv clock", "")


@pytest.mark.parametrize("other", [Asker("m", "evil-m", "Ada"), Asker("m", "acme-m", "Eve"), Asker("m")])
def test_consent_is_for_the_same_publisher_and_distribution(other) -> None:
    """Another distribution or publisher gets nothing, not even for the same bytes."""
    assert told([consent()], "kv", 1, other) == ("", "kv")
    assert told([consent()], "kv", 0, other) == ("", "kv")


@given(asked=SETS, had=SETS, same=st.booleans())
def test_nothing_is_granted_that_was_not_agreed_to(asked, had, same) -> None:
    """Whatever is asked, what is granted is covered by what was granted, and the rest is missing."""
    known = [consent()]
    known[0] = msgspec.structs.replace(known[0], asked=tuple(had), granted=tuple(had))
    verdict = judge(known, ASKER, tuple(asked), DIGESTS[0 if same else 1])
    assert growth(verdict.granted, had) == ()
    assert verdict.missing == growth(asked, had)
    assert (verdict.carried is not None) is (not same and not verdict.missing)


# --- the file ------------------------------------------------------------------------------------------------------


@pytest.fixture
def file(tmp_path: Path) -> Consents:
    """A file of consents that is not there yet."""
    return Consents(lambda: tmp_path / "state")


def test_what_is_written_is_read(file: Consents) -> None:
    """Consents come back as they were, oldest first; the newest of a release replaces the one before."""
    assert file.all() == ()
    first, second, other = consent(), consent("kv", digest=1, how="carried"), consent(module="other")
    for each in (first, second, other):
        file.record(each)
    assert file.all() == (first, second, other)
    assert file.of("m") == [first, second]
    again = consent(granted="")
    file.record(again)
    assert file.all() == (second, other, again)


@settings(max_examples=30, deadline=None)
@given(asked=SETS)
def test_every_permission_survives_the_file(asked, tmp_path_factory) -> None:
    """Any permission is written so that it is read as the same."""
    file = Consents(lambda: tmp_path_factory.getbasetemp() / "round")
    written = msgspec.structs.replace(consent(), asked=tuple(asked), granted=tuple(asked))
    file.record(written)
    assert file.all() == (written,)


def test_the_file_is_the_users_alone(file: Consents) -> None:
    """It has mode 0600 in a directory of mode 0700, and nothing else is left there but its lock."""
    file.record(consent())
    assert (file.path.stat().st_mode & 0o777, file.path.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    assert sorted(each.name for each in file.path.parent.iterdir()) == ["grants.json", "grants.lock"]


def test_only_so_many_are_kept(file: Consents) -> None:
    """The oldest releases of a module are forgotten, those of others are not."""
    file.record(consent(module="other"))
    for number in range(KEPT + 3):
        file.record(consent(digest=number))
    assert [c.digest for c in file.of("m")] == DIGESTS[3 : KEPT + 3]
    assert len(file.of("other")) == 1


def test_what_is_withdrawn_is_so_for_every_release(file: Consents) -> None:
    """One permission goes out of every consent of the module; without one, the consents go."""
    file.record(consent("kv net:h:1 net:g"))
    file.record(consent("kv", digest=1))
    file.record(consent(module="other"))
    assert file.withdraw("m", [Permission("net:*")]) == (Permission("net:h:1"), Permission("net:g"))
    assert [list(map(str, c.granted)) for c in file.of("m")] == [["kv"], ["kv"]]
    assert file.withdraw("m") == (Permission("kv"),)
    assert file.of("m") == [] and len(file.all()) == 1


def _write_many(directory: Path, start: int, ready) -> None:
    ready.wait()
    file = Consents(lambda: directory)
    for number in range(start, start + 12):
        file.record(consent(module=f"m{number}"))


def test_writers_at_once_lose_nothing(tmp_path: Path) -> None:
    """Processes that write at the same time wait for each other; what each wrote is there."""
    context = multiprocessing.get_context("fork")
    ready = context.Barrier(3)
    writers = [context.Process(target=_write_many, args=(tmp_path, start, ready)) for start in (0, 100, 200)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert {c.module for c in Consents(lambda: tmp_path).all()} == {
        f"m{s + n}" for s in (0, 100, 200) for n in range(12)
    }


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda path: path.chmod(0o620), "can be written by other users (mode 0620)"),
        (lambda path: path.chmod(0o602), "can be written by other users (mode 0602)"),
        (lambda path: path.parent.chmod(0o770), "the directory of grants can be written by other users"),
        (lambda path: (path.unlink(), path.mkdir()), "is no file"),
        (lambda path: (path.unlink(), os.mkfifo(path)), "is no file"),
    ],
)
def test_a_file_that_others_could_have_written_is_not_read(file: Consents, change, said: str) -> None:
    """Neither a grant nor a load goes by it; the error says whose it is to be, and how."""
    file.record(consent())
    change(file.path)
    for use in (file.all, lambda: file.record(consent()), lambda: file.withdraw("m")):
        with pytest.raises(DeniedError) as caught:
            use()
        assert caught.value.code == "HC605" and said in str(caught.value)
        assert caught.value.hint and "mode 0" in str(caught.value)


def test_a_link_is_not_followed(file: Consents, tmp_path: Path) -> None:
    """A link in place of the file could lead to anybody's."""
    file.record(consent())
    file.path.rename(tmp_path / "elsewhere.json")
    file.path.symlink_to(tmp_path / "elsewhere.json")
    with pytest.raises(ConfigError, match="cannot be read"):
        file.all()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_another_users_file_is_not_read(file: Consents) -> None:
    """Whoever owns it could have written it."""
    file.record(consent())
    os.chown(file.path, 12345, -1)
    with pytest.raises(DeniedError, match="belongs to another user") as caught:
        file.all()
    assert caught.value.code == "HC605"


def damaged(**changes) -> bytes:
    """Return the file with one consent that has these changes."""
    plain = msgspec.to_builtins(consent(), enc_hook=str)
    return json.dumps({"version": 1, "consents": [{**plain, **changes}]}).encode()


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "is not JSON"),
        (b"{", "is not JSON"),
        (b"\xff\xfe", "is not JSON"),
        (b"[" * 100_000, "is not JSON"),
        (b"[]", "a table"),
        (b"{}", "'version' is missing"),
        (b'{"version": 2, "consents": []}', "is of version 2"),
        (b'{"version": 1, "consents": [1]}', "consents[0]"),
        (b" " * (8 * 1024**2 + 1), "is larger than 8 MiB"),
        (damaged(granted=["kvv"]), "consents[0].granted[0]"),
        (damaged(granted=["fs.read:../x"]), "consents[0].granted[0]"),
        (damaged(granted=["random"]), "was not asked for"),
        (damaged(digest="abc"), "consents[0].digest"),
        (damaged(module="a b"), "consents[0].module"),
        (damaged(how="guessed"), "consents[0].how"),
        (damaged(extra=1), "unknown key 'extra'"),
    ],
)  # fmt: skip
def test_a_file_that_was_edited_wrongly_counts_for_nothing(file: Consents, data: bytes, said: str) -> None:
    """It is refused as a whole, with the entry that is wrong and what to do; nothing is written over it."""
    file.record(consent())
    file.path.write_bytes(data)
    for use in (file.all, lambda: file.record(consent())):
        with pytest.raises(ConfigError) as caught:
            use()
        assert said in str(caught.value) and caught.value.hint
        assert str(file.path) in str(caught.value)
    assert file.path.read_bytes() == data


def test_every_mistake_is_listed(file: Consents) -> None:
    """Who edited the file by hand sees all that is wrong at once."""
    file.record(consent())
    file.path.write_bytes(damaged(granted=["kvv", "net:"], asked=["env"]))
    with pytest.raises(ConfigError) as caught:
        file.all()
    assert len(caught.value.problems) == 3


@given(data=st.binary(max_size=200))
def test_any_bytes_give_consents_or_the_error(data: bytes, tmp_path_factory) -> None:
    """Whatever stands in the file, it is read or refused, and nothing else happens."""
    folder = tmp_path_factory.getbasetemp() / "any"
    (folder / "grants").mkdir(mode=0o700, parents=True, exist_ok=True)
    file = Consents(lambda: folder)
    file.path.write_bytes(data)
    file.path.chmod(0o600)
    try:
        file.all()
    except ConfigError:
        pass


def test_a_directory_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    """Where nothing can be written the error says where that is set."""
    (tmp_path / "state").write_text("")
    with pytest.raises(ConfigError, match="cannot be written") as caught:
        Consents(lambda: tmp_path / "state").record(consent())
    assert "HOSTCORE_STATE_DIR" in caught.value.hint


# --- what was refused ----------------------------------------------------------------------------------------------


def test_attempts_are_counted_apart() -> None:
    """By module and permission, with the first and last time; refused and let through are two counts."""
    refusals = Refusals()
    for refused in (True, True, False):
        refusals.note("b", "net", "h:1", refused=refused)
    refusals.note("a", "kv", "", refused=True)
    found = refusals.of()
    assert [(a.module, a.permission, a.refused, a.observed) for a in found] == [
        ("a", "kv", 1, 0),
        ("b", "net:h:1", 2, 1),
    ]
    assert all(0 < attempt.first <= attempt.last for attempt in found)
    assert refusals.of("c") == [] and len(refusals.of("a")) == 1


def test_a_module_that_tries_everything_fills_nothing() -> None:
    """Beyond so many different attempts the rest is counted together, by kind."""
    refusals = Refusals()
    for number in range(5_000):
        refusals.note("m", "bus.send", f"t{number}", refused=True)
        refusals.note("m", "kv", "", refused=True)
    found = refusals.of("m")
    assert len(found) <= 260
    assert sum(attempt.refused for attempt in found) == 10_000
    assert "bus.send:others" in {attempt.permission for attempt in found}
