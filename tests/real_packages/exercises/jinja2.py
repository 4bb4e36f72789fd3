"""Render templates with inheritance, a macro, a filter of one's own and autoescape."""

from jinja2 import DictLoader, Environment

TEMPLATES = {
    "base": "<title>{% block title %}{% endblock %}</title>",
    "page": "{% extends 'base' %}{% macro cell(x) %}<td>{{ x|twice }}</td>{% endmacro %}"
    "{% block title %}{% for n in names %}{{ loop.index }}{{ cell(n) }}{% endfor %}{% endblock %}",
}


def exercise():
    environment = Environment(loader=DictLoader(TEMPLATES), autoescape=True)
    environment.filters["twice"] = lambda text: text * 2
    return environment.get_template("page").render(names=["a", "<b>"])
