"""Render templates with a function, inheritance and Python in them."""

from mako.exceptions import MakoException
from mako.lookup import TemplateLookup
from mako.template import Template

PAGE = """<%inherit file='base'/><%def name='title()'>x</%def>
% for n in range(2):
${n | h}
% endfor
"""


def exercise():
    lookup = TemplateLookup()
    lookup.put_string("base", "<t>${self.title()}</t>${next.body()}")
    lookup.put_string("page", PAGE)
    try:
        Template("${unclosed")
    except MakoException as error:
        refused = type(error).__name__
    return [lookup.get_template("page").render(), Template("<% y = x * 2 %>${y}").render(x=3), refused]
