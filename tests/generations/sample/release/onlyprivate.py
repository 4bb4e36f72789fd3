VERSION = "@V@"


class K:
    pass
