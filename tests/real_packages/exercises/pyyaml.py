"""Load and dump documents, with a tag and a class of one's own, and the C parser if there is one."""

import yaml


class Point(yaml.YAMLObject):
    yaml_tag = "!point"
    yaml_loader = yaml.SafeLoader
    yaml_dumper = yaml.SafeDumper

    def __init__(self, x):
        self.x = x


class Degrees(float):
    pass


yaml.add_constructor("!deg", lambda loader, node: Degrees(loader.construct_scalar(node)), yaml.SafeLoader)
yaml.add_representer(Degrees, lambda dumper, value: dumper.represent_scalar("!deg", str(float(value))), yaml.SafeDumper)


def exercise():
    text = "a: &x [1, 2.5, yes]\nb: *x\np: !point {x: 3}\nt: !deg 4\n"
    loaded = yaml.safe_load(text)
    fast = yaml.load("a: [1, {b: c}]", Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    try:
        yaml.safe_load("a: [")
    except yaml.YAMLError as error:
        refused = str(error)
    return [loaded["a"], loaded["p"].x, loaded["t"] / 2, yaml.safe_dump(loaded), fast, refused]
