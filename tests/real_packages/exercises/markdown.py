"""Convert text with extensions, one of them one's own."""

import markdown
from markdown.extensions import Extension
from markdown.inlinepatterns import SimpleTagInlineProcessor


class Strike(Extension):
    def extendMarkdown(self, md):
        md.inlinePatterns.register(SimpleTagInlineProcessor(r"()~~(.*?)~~", "del"), "del", 175)


def exercise():
    text = "# Title\n\n~~old~~ *new*\n\na | b\n--|--\n1 | 2\n\n[TOC]\n"
    return markdown.markdown(text, extensions=["tables", "toc", "fenced_code", Strike()])
