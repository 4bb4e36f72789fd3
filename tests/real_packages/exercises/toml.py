"""Load and dump a document, with an encoder of one's own."""

import toml


class Loud(toml.TomlEncoder):
    def __init__(self):
        super().__init__()
        self.dump_funcs[str] = lambda value: f'"{value.upper()}"'


def exercise():
    document = toml.loads("a = 1\n[b]\nc = [1, 2]\n[[d]]\ne = 'x'\n")
    try:
        toml.loads("a = ")
    except toml.TomlDecodeError as error:
        refused = type(error).__name__
    return [document, toml.dumps(document), toml.dumps({"k": "v"}, Loud()), refused]
