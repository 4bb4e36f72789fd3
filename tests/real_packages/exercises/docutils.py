"""Publish reStructuredText as HTML, with a directive and a role of one's own."""

from docutils import nodes
from docutils.core import publish_parts
from docutils.parsers.rst import Directive, directives, roles

TEXT = """
Title
=====

A *word*, a :loud:`role`, and a list:

- one
- two

.. shout:: hello
"""


class Shout(Directive):
    required_arguments = 1

    def run(self):
        return [nodes.paragraph(text=self.arguments[0].upper())]


def loud(name, rawtext, text, lineno, inliner, options=None, content=None):
    return [nodes.strong(text=text.upper())], []


def exercise():
    directives.register_directive("shout", Shout)
    roles.register_local_role("loud", loud)
    return publish_parts(TEXT, writer="html5", settings_overrides={"report_level": 5})["body"]
