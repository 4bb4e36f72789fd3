"""Measure the width of text with wide, combining and joined characters."""

from wcwidth import list_versions, wcswidth, wcwidth


def exercise():
    return [wcswidth("コンニチハ"), wcwidth("\u0301"), wcswidth("e\u0301x"), wcwidth("\x07"), list_versions()[-1]]
