class S:
    pass
