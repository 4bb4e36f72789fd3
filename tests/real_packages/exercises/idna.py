"""Encode and decode host names, and refuse a wrong one."""

import idna


def exercise():
    try:
        idna.encode("a..b")
    except idna.IDNAError as error:
        refused = type(error).__name__
    return [
        idna.encode("straße.de").decode(),
        idna.decode("xn--bcher-kva.example"),
        refused,
        "bücher".encode("idna").decode(),
    ]
