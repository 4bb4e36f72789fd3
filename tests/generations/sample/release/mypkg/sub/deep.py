import mypkg

from .. import VERSION

assert mypkg.VERSION == VERSION


class D:
    pass
