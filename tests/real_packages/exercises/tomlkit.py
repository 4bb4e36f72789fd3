"""Change a document and keep its layout."""

import tomlkit
from tomlkit.exceptions import ParseError


def exercise():
    document = tomlkit.parse("# top\na = 1 # one\n\n[b]\nc = [1,2]\n")
    document["a"] = 2
    document["b"]["d"] = tomlkit.inline_table() | {"x": 1}
    document.add("new", tomlkit.item({"y": [1]}))
    try:
        tomlkit.parse("a = ")
    except ParseError as error:
        refused = str(error)
    return [tomlkit.dumps(document), document.unwrap(), refused]
