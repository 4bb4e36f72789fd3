VERSION = "@V@"

from importlib.metadata import version  # noqa: E402

__version__ = version(__name__)


class K:
    pass
