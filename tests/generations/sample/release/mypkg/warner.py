import warnings

warnings.warn("dep", DeprecationWarning, stacklevel=2)
