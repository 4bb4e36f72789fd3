"""Render CommonMark with a table, and with a rule for links of one's own."""

from markdown_it import MarkdownIt


def exercise():
    md = MarkdownIt("commonmark").enable("table")
    md.add_render_rule("strong_open", lambda self, tokens, index, options, env: "<b>")
    tokens = md.parse("# a\n\n- *b*\n")
    return [md.render("**a** [b](c)\n\n| x |\n|---|\n| 1 |\n"), [token.type for token in tokens]]
