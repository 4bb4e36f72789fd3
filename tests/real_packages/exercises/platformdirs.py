"""Say where an application keeps its files, on this and on other systems."""

from platformdirs import PlatformDirs
from platformdirs.macos import MacOS
from platformdirs.unix import Unix


def exercise():
    dirs = PlatformDirs("app", "acme", version="1")
    return [
        dirs.user_config_dir,
        str(dirs.user_cache_path),
        Unix("x").site_data_dir,
        MacOS("x").user_log_dir,
        type(dirs).__name__,
    ]
