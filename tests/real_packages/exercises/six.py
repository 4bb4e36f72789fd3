"""Use moved modules, a metaclass and a decorated class."""

import six
from six.moves import configparser, urllib
from six.moves.urllib.parse import urlencode


class Meta(type):
    pass


@six.add_metaclass(Meta)
@six.python_2_unicode_compatible
class Thing:
    def __str__(self):
        return "thing"


def exercise():
    parser = configparser.ConfigParser()
    parser.read_string("[a]\nb=1\n")
    return [
        type(Thing).__name__, str(Thing()), urlencode({"a": 1}), urllib.parse.quote("a b"), parser["a"]["b"],
        six.ensure_text(b"x"), list(six.iteritems({"a": 1})),
    ]  # fmt: skip
