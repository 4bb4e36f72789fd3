"""Where a host keeps what it keeps."""

from __future__ import annotations

import os
import warnings
from pathlib import Path

from hostcore.config.host import HostConfig


def state_dir(config: HostConfig | None = None) -> Path:
    """Return where modules' persistent data is kept: as configured, else $HOSTCORE_STATE_DIR, else the user's."""
    if config is not None and config.state_dir is not None:
        return Path(config.state_dir)
    return _user_dir("HOSTCORE_STATE_DIR", "user_state_path")


def cache_dir() -> Path:
    """Return where what can be made again is kept: $HOSTCORE_CACHE_DIR, else the user's cache."""
    return _user_dir("HOSTCORE_CACHE_DIR", "user_cache_path")


def runtime_dir() -> Path:
    """Return where sockets are: $HOSTCORE_RUNTIME_DIR, else the user's runtime directory."""
    return _user_dir("HOSTCORE_RUNTIME_DIR", "user_runtime_path")


def _user_dir(variable: str, function: str) -> Path:
    chosen = os.environ.get(variable)
    if chosen:
        return Path(chosen).expanduser().absolute()
    import platformdirs

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it warns where XDG_RUNTIME_DIR is not set, and falls back
        path: Path = getattr(platformdirs, function)("hostcore", appauthor=False)
    return path
