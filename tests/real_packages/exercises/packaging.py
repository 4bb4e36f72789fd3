"""Compare versions, match specifiers, and evaluate markers."""

from packaging.markers import Marker
from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import SpecifierSet
from packaging.tags import Tag, parse_tag
from packaging.version import Version


def exercise():
    requirement = Requirement('acme[fast] >=1.2,<2 ; python_version >= "3.8"')
    try:
        Requirement("acme >>= 1")
    except InvalidRequirement as error:
        refused = str(error)
    return [
        str(max(map(Version, ["1.0", "1.0rc1", "1!0.1"]))),
        [str(v) for v in SpecifierSet("~=1.4").filter(["1.3", "1.5", "2.0"])],
        str(requirement), requirement.marker.evaluate(), Marker("os_name == 'x'").evaluate(),
        Tag("py3", "none", "any") in parse_tag("py2.py3-none-any"), refused,
    ]  # fmt: skip
