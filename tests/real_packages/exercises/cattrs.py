"""Structure and unstructure classes, by a converter of one's own and by the global one."""

import cattrs
from attrs import define
from cattrs.gen import make_dict_unstructure_fn, override


@define
class Item:
    name: str
    sizes: list[int]
    note: str | None = None


def exercise():
    converter = cattrs.Converter()
    converter.register_unstructure_hook(Item, make_dict_unstructure_fn(Item, converter, note=override(omit=True)))
    item = cattrs.structure({"name": "a", "sizes": ["1", 2]}, Item)
    try:
        converter.structure({"name": "a", "sizes": ["x"]}, Item)
    except cattrs.ClassValidationError as error:
        refused = cattrs.transform_error(error)
    return [cattrs.unstructure(item), converter.unstructure(item), refused]
