"""Change a document and keep its comments; register a class of one's own."""

import io

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError


class Point:
    yaml_tag = "!point"

    def __init__(self, x):
        self.x = x

    @classmethod
    def to_yaml(cls, representer, node):
        return representer.represent_scalar(cls.yaml_tag, str(node.x))

    @classmethod
    def from_yaml(cls, constructor, node):
        return cls(int(node.value))


def exercise():
    yaml = YAML()
    yaml.register_class(Point)
    document = yaml.load("# top\na: 1  # one\nb: [x, y]\np: !point 3\n")
    document["a"] = 2
    document["p"].x += 1
    out = io.StringIO()
    yaml.dump(document, out)
    try:
        YAML(typ="safe", pure=True).load("a: [")
    except YAMLError as error:
        refused = type(error).__name__
    return [out.getvalue(), YAML(typ="safe").load("{a: [1, 2]}"), refused]
