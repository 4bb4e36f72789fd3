"""Discovery finds what is installed, whoever else is broken, and says what is wrong."""

from __future__ import annotations

import gc
import os
import sys
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import importlib_metadata
import pytest
from support.distributions import entry_points, fake_install, write_files, write_wheel

from hostcore.errors import LoadError
from hostcore.packages.discovery import Discovery, Scan
from hostcore.packages.entries import HOOKSPECS

COUNTER = {"counter": "acme_counter:Counter"}


def codes(scan: Scan) -> list[str]:
    return [problem.code for problem in scan.problems]


def test_modules_and_hookspecs_are_found_with_their_distribution(site: Path) -> None:
    """An entry tells name, value, distribution, version, group and where its metadata is."""
    info = fake_install(site, "Acme.Counter", "1.4.0", entry_points(COUNTER) + entry_points({"h": "acme.h"}, HOOKSPECS))
    fake_install(site, "unrelated", "1", "[console_scripts]\nx = y:z\n")
    scan = Discovery([str(site)]).scan()
    (entry,) = scan.modules.values()
    assert (entry.name, entry.value, entry.metadata) == ("counter", "acme_counter:Counter", str(info))
    assert entry.label == "counter 1.4.0 (Acme.Counter)"
    assert [spec.value for spec in scan.hookspecs] == ["acme.h"]
    assert not scan.problems and not scan.duplicates


def test_a_path_that_is_given_later_is_seen(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without given paths each scan looks at `sys.path` as it is then."""
    fake_install(site, "acme-counter", "1", COUNTER)
    discovery = Discovery()
    assert "counter" not in discovery.scan().modules
    monkeypatch.syspath_prepend(str(site))
    assert "counter" in discovery.scan().modules


def test_of_one_distribution_the_first_on_the_path_counts(tmp_path: Path) -> None:
    """A distribution later on the path is shadowed by its namesake, even one that declares no module."""
    for name, modules in (("a", COUNTER), ("b", {"counter": "acme_counter:Old", "gone": "acme_counter:Gone"})):
        fake_install(tmp_path / name, "acme-counter", f"1{name}0", modules)
    scan = Discovery([str(tmp_path / "a"), str(tmp_path / "b")]).scan()
    assert {name: entry.value for name, entry in scan.modules.items()} == COUNTER
    assert not scan.duplicates
    fake_install(tmp_path / "first", "Acme_Counter", "0", {})
    assert not Discovery([str(tmp_path / "first"), str(tmp_path / "b")]).scan().modules


def test_two_distributions_with_one_module_name_are_listed_winner_first(tmp_path: Path) -> None:
    """The first on the path wins, in one folder the first by name; all are listed and one is found."""
    fake_install(tmp_path / "a", "zeta", "1", {"counter": "zeta:C"})
    fake_install(tmp_path / "b", "beta", "1", {"counter": "beta:C"})
    fake_install(tmp_path / "b", "alpha", "1", {"counter": "alpha:C"})
    discovery = Discovery([str(tmp_path / "a"), str(tmp_path / "b")])
    assert [e.distribution for e in discovery.scan().duplicates["counter"]] == ["zeta", "alpha", "beta"]
    assert discovery.find("counter").distribution == "zeta"


def test_a_folder_that_is_twice_on_the_path_counts_once(site: Path, tmp_path: Path) -> None:
    """The same folder under two names gives no duplicates."""
    fake_install(site, "acme-counter", "1", COUNTER)
    (tmp_path / "link").symlink_to(site)
    scan = Discovery([str(site), str(tmp_path / "link"), f"{site}/."]).scan()
    assert list(scan.modules) == ["counter"] and not scan.duplicates


def test_find_says_what_is_meant_and_what_to_do(site: Path) -> None:
    """A wrong name gives HC202 with the nearest name; a strange one tells how to get a module."""
    fake_install(site, "acme-counter", "1", COUNTER)
    with pytest.raises(LoadError, match=r"HC202 countr: .*\n.*installed: counter\n.*did you mean 'counter'\?"):
        Discovery([str(site)]).find("countr")
    with pytest.raises(LoadError, match="entry-points"):
        Discovery([]).find("zzz")


BREAKAGE: dict[str, tuple[str, Callable[[Path], Any]]] = {
    "bad UTF-8": ("HC112", lambda i: (i / "entry_points.txt").write_bytes(b"[hostcore.modules]\na = \xff:x\n")),
    "bad line": ("HC113", lambda i: (i / "entry_points.txt").write_text("[hostcore.modules]\nbroken\n")),
    "no value": ("HC114", lambda i: (i / "entry_points.txt").write_text("[hostcore.modules]\nbroken =\n")),
    "a directory": ("HC111", lambda i: ((i / "entry_points.txt").unlink(), (i / "entry_points.txt").mkdir())),
    "no METADATA": ("HC115", lambda i: (i / "METADATA").unlink()),
    "no Version": ("HC115", lambda i: (i / "METADATA").write_text("Name: broken\n\nVersion: 1\n")),
    "no Name": ("HC115", lambda i: (i / "METADATA").write_text("Version: 1\n")),
    "left over": ("HC116", lambda i: fake_install(i.parent, "broken", "0.9", {"broken": "broken:Old"})),
}


@pytest.mark.parametrize("kind", BREAKAGE)
def test_broken_metadata_is_reported_and_hides_nobody_else(site: Path, kind: str) -> None:
    """Each kind of breakage is one problem that says where; the other distribution is still found."""
    code, damage = BREAKAGE[kind]
    fake_install(site, "acme-counter", "1", COUNTER)
    damage(fake_install(site, "broken", "1.0", {"broken": "broken:X"}))
    scan = Discovery([str(site)]).scan()
    assert codes(scan) == [code]
    assert scan.problems[0].where.startswith(str(site))
    assert scan.modules["counter"].version == "1"
    if code in ("HC115", "HC116"):
        entry = scan.modules["broken"]
        assert (entry.value, entry.distribution, entry.version.rstrip(".0")) == ("broken:X", "broken", "1")


def test_what_pip_moves_aside_and_foreign_files_are_passed_over(site: Path) -> None:
    """Leftovers that begin with "~", egg-info files and folders without entry points are neither found nor reported."""
    info = fake_install(site, "acme-counter", "1", COUNTER)
    info.rename(site / "~cme_counter-1.dist-info")
    (site / "old.egg-info").write_text("Name: old\n")
    (site / "empty-1.dist-info").mkdir()
    (site / "dangling-1.dist-info").symlink_to("nowhere")
    assert Discovery([str(site), "", "/nowhere", str(site / "\0")]).scan() == Scan({}, [], {}, [])


def test_egg_info_directories_are_read(site: Path) -> None:
    """An old-style `.egg-info` directory, and the EGG-INFO of an egg directory, count as distributions."""
    for place in (site / "old.egg-info", site / "Egg-2.0-py3.11.egg" / "EGG-INFO"):
        name = place.parts[-1 if place.suffix else -2].split(".")[0].partition("-")[0].lower()
        points = entry_points({name: f"{name}:X"})
        write_files(place, {"PKG-INFO": f"Name: {name}\nVersion: 2.0\n", "entry_points.txt": points})
    scan = Discovery([str(site), str(site / "Egg-2.0-py3.11.egg")]).scan()
    assert {name: entry.version for name, entry in scan.modules.items()} == {"old": "2.0", "egg": "2.0"}


def test_archives_on_the_path_are_read(tmp_path: Path) -> None:
    """A wheel on the path is discovered, a replaced one anew, and a file that is no archive hides nobody."""
    wheel = write_wheel(tmp_path / "acme_counter-1.0-py3-none-any.whl", {"acme_counter/__init__.py": ""})
    (tmp_path / "rubbish.zip").write_text("no archive")
    discovery = Discovery([str(tmp_path / "rubbish.zip"), str(wheel)])
    assert discovery.find("counter").metadata == ""
    times = wheel.stat()
    write_wheel(wheel, {}, modules={"other": "acme_counter:Other"})
    os.utime(wheel, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert list(discovery.scan().modules) == ["other"]
    with warnings.catch_warnings():  # importlib-metadata closes an archive when it is collected, in some later test
        warnings.simplefilter("ignore", ResourceWarning)
        importlib_metadata.MetadataPathFinder.invalidate_caches()
        gc.collect()


class Finder:
    """A foreign finder that offers one distribution, or raises."""

    def __init__(self, site: Path, broken: bool) -> None:
        self.site = site
        self.broken = broken

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> None:
        return None

    def find_distributions(self, context: Any) -> Iterator[Any]:
        context = importlib_metadata.DistributionFinder.Context(path=[str(self.site)])
        yield from importlib_metadata.MetadataPathFinder.find_distributions(context)
        if self.broken:
            raise OSError("the remote side does not answer")


@pytest.mark.parametrize("broken", [False, True])
def test_foreign_finders_are_asked(site: Path, monkeypatch: pytest.MonkeyPatch, broken: bool) -> None:
    """What a finder on `sys.meta_path` offers is found; if it raises, that is a problem and no more."""
    fake_install(site, "acme-counter", "1", COUNTER)
    monkeypatch.setattr(sys, "meta_path", [*sys.meta_path, Finder(site, broken)])
    scan = Discovery().scan()
    assert scan.modules["counter"].distribution == "acme-counter"
    problems = [problem for problem in scan.problems if problem.code == "HC117"]
    assert [problem.where for problem in problems] == ["Finder"] * broken
    assert all("the remote side does not answer" in problem.message for problem in problems)


def test_hostcores_own_finders_are_not_asked(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A loaded generation is no installation: what a finder of hostcore itself offers is left out."""
    fake_install(site, "acme-counter", "1", COUNTER)
    own = type("GenerationFinder", (Finder,), {"__module__": "hostcore.generations.finding"})
    monkeypatch.setattr(sys, "meta_path", [*sys.meta_path, own(site, False)])
    assert "counter" not in Discovery().scan().modules


def test_threads_may_share_a_discovery(tmp_path: Path) -> None:
    """Scans in many threads at once, with an index, all give the same."""
    sites = [str(tmp_path / str(number)) for number in range(20)]
    for number, site in enumerate(sites):
        fake_install(Path(site), f"d{number}", "1", {f"m{number}": "x:X"})
    discovery = Discovery(sites, tmp_path / "index")
    with ThreadPoolExecutor(8) as pool:
        scans = list(pool.map(lambda _: discovery.scan(), range(40)))
    assert len(scans[0].modules) == 20
    assert all(scan == scans[0] for scan in scans)


def test_an_unreadable_folder_is_reported(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder on the path that may not be listed is a problem, not an error."""
    if os.geteuid() == 0:
        # Root may read everything; a folder that goes away between two system calls looks the same to the code.
        monkeypatch.setattr("os.listdir", lambda path: (_ for _ in ()).throw(PermissionError(13, "Permission denied")))
    site.chmod(0)
    try:
        assert codes(Discovery([str(site)]).scan()) == ["HC111"]
    finally:
        site.chmod(0o755)


def test_scanning_imports_no_module_and_nothing_expensive(site: Path) -> None:
    """A scan of ordinary folders imports neither the modules nor `importlib_metadata` nor `packaging`."""
    import subprocess

    from support.distributions import libraries

    fake_install(site, "acme-counter", "1", COUNTER, ["acme_counter/__init__.py"])
    (site / "acme_counter" / "__init__.py").write_text("raise SystemExit(1)")
    code = (
        f"import sys; sys.path[:0] = {libraries()}; from hostcore.packages.discovery import Discovery; "
        f"found = Discovery([{str(site)!r}]).find('counter'); from hostcore.packages.locating import locate; "
        "locate(found); print({'importlib_metadata', 'packaging', 'acme_counter'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True)
    assert done.stdout == "set()\n", done.stderr
