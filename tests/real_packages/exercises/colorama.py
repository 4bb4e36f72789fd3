"""Colour text, and strip the colours again in a wrapped stream."""

import io

from colorama import Back, Fore, Style
from colorama.ansitowin32 import AnsiToWin32


def exercise():
    text = f"{Fore.RED}{Back.WHITE}warm{Style.RESET_ALL} cold"
    plain = io.StringIO()
    AnsiToWin32(plain, strip=True).write(text)
    return [text, plain.getvalue()]
