"""Finding the sources of a module, whether it runs or failed to load.

A module that runs may come from elsewhere after its next reload, as when its `pyproject.toml` was changed to name
another package and that one failed to import.  So both count: where it was loaded from, and where it would be now.
"""

from __future__ import annotations

from pathlib import Path

from hostcore.cli.watch.sources import RECORD, Sources, sources_of
from hostcore.config import cache_dir
from hostcore.errors import HostcoreError, LoadError
from hostcore.packages.discovery import Discovery, Scan
from hostcore.packages.locating import locate
from hostcore.packages.projects import PYPROJECT, Project
from hostcore.packages.sources import from_source
from hostcore.system import ModuleSystem


def find_sources(system: ModuleSystem, name: str, before: Sources) -> Sources:
    """Return the sources of module `name`, empty if nothing is known of it.

    Args:
        system: The system that it is in.
        name: The module.
        before: What they were when last asked for: of a distribution that is not there, being upgraded perhaps, the
            install is still waited for.
    """
    running, source = Sources(), None
    if name in system.modules:
        record = system.record(name)
        source = record.wish.source
        if record.copy is not None:
            running = sources_of(record.copy.release)
    configured = system.config.modules.get(name)
    source = source or (configured.source if configured is not None else None)
    try:
        if source:
            return running.joined(_from_source(name, source))
        return running.joined(_installed(name, system.discover()) or Sources(installs=before.installs))
    except (HostcoreError, OSError):
        return running.joined(_of_project(name, source) if source else Sources(installs=before.installs))


def _installed(name: str, scan: Scan) -> Sources | None:
    entry = scan.modules.get(name)
    if entry is None:
        return None
    recorded = bool(entry.metadata) and Path(entry.metadata, RECORD).is_file()
    return sources_of(locate(entry), entry.metadata if recorded else "")


def _from_source(name: str, source: str) -> Sources:
    release = from_source(source, name, cache=cache_dir() / "wheels")
    found = sources_of(release)
    if release.editable or release.source not in release.paths:
        return found
    made_by_pip = Discovery([release.source]).scan()  # with --target
    return found.joined(_installed(name, made_by_pip) or Sources())


def _of_project(name: str, source: str) -> Sources:
    """Return what may bring a project or wheel to life that cannot be loaded: what it is, and where its code may be."""
    path = str(Path(source).absolute())
    roots = {path, f"{path}/src"}
    try:
        package = Project(Path(path)).entries[name].value.partition(":")[0].partition(".")[0]
        stems = {f"{root}/{package}" for root in roots}
    except (LoadError, KeyError):
        stems = set()
    files = {path, f"{path}/{PYPROJECT}"}
    return Sources(frozenset(stems), frozenset(files), frozenset(roots), bases=frozenset(roots))
