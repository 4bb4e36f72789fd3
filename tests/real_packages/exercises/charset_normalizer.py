"""Guess the encoding and the language of bytes."""

from charset_normalizer import from_bytes, is_binary

TEXT = "Всеки човек има право на образование. Образованието трябва да бъде безплатно."


def exercise():
    best = from_bytes(TEXT.encode("cp1251")).best()
    return [best.encoding, best.language, str(best) == TEXT, is_binary(b"\x00\x01\x02\xff" * 20)]
