"""Convert text with plugins and a renderer of one's own."""

import mistune


class Loud(mistune.HTMLRenderer):
    def emphasis(self, text):
        return text.upper()


def exercise():
    plain = mistune.create_markdown(plugins=["table", "strikethrough", "footnotes"])
    loud = mistune.create_markdown(renderer=Loud())
    return [
        plain("# a\n\n~~b~~ c[^1]\n\n| x |\n|---|\n| 1 |\n\n[^1]: note"),
        loud("*a* <b>"),
        mistune.html("1. a\n2. b"),
    ]
