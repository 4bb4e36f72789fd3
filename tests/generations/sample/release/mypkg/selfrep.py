import sys


class Wrap:
    VERSION = "@V@"
    wrapped = True


sys.modules[__name__] = Wrap()
