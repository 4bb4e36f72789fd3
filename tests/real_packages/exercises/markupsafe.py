"""Escape text, and keep what is marked as safe."""

from markupsafe import Markup, escape


class Own:
    def __html__(self):
        return "<i>own</i>"


def exercise():
    text = Markup("<b>%s</b> {}") % "<x>"
    return [
        str(text),
        str(text.format("&")),
        str(escape(Own()) + "<"),
        Markup("a &lt; <b>b</b>").striptags(),
        str(escape(None)),
    ]
