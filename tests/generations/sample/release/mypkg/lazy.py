"""Built as lazy0.py, lazy1.py, ...: each is imported by one check only, at the last moment."""

VERSION = "@V@"


class C:
    pass
