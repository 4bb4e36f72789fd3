"""Read a distribution's metadata, its entry points and its files."""

import importlib_metadata


def exercise():
    dist = importlib_metadata.distribution("pluggy")
    points = importlib_metadata.EntryPoint("a", "math:sqrt", "group")
    try:
        importlib_metadata.version("not-installed-anywhere")
    except importlib_metadata.PackageNotFoundError as error:
        refused = type(error).__name__
    return [dist.metadata["Name"], points.load()(4), any(f.name == "METADATA" for f in dist.files), refused]
