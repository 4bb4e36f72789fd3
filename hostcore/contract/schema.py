"""JSON Schemas (draft 2020-12) of the files that people write, made from the annotations that check them.

Editors complete and check `module.toml` and `hostcore.toml` with them.  They say the shape and the plain bounds;
what only a parser can tell, such as whether a version range is one, stays with `checking`.
"""

from __future__ import annotations

from typing import Any, Literal, get_args, get_origin

import msgspec
from msgspec import UNSET, Meta

from hostcore.contract.checking import extras, split

DIALECT = "https://json-schema.org/draft/2020-12/schema"
_TYPES = {str: "string", int: "integer", float: "number", bool: "boolean"}
_BOUNDS = {"ge": "minimum", "le": "maximum", "gt": "exclusiveMinimum", "lt": "exclusiveMaximum"}

Schema = dict[str, Any]


def document_schema(annotation: Any, *, title: str, description: str) -> Schema:
    """Return the schema of a document that holds one value of `annotation`."""
    definitions: dict[str, Schema] = {}
    body = _schema(annotation, definitions)
    if "$ref" in body:
        body = definitions.pop(body["$ref"].rpartition("/")[2])
    head = {"$schema": DIALECT, "title": title, "description": description}
    return {**head, **{k: v for k, v in body.items() if k not in head}, "$defs": dict(sorted(definitions.items()))}


def _schema(annotation: Any, definitions: dict[str, Schema]) -> Schema:
    core, metas = split(annotation)
    schema: Schema = {}
    for meta in metas:
        schema |= _constraints(meta)
    if "type" in schema:  # a written form of its own
        return schema
    core = extras(metas).get("shape", core)
    if isinstance(core, type) and issubclass(core, msgspec.Struct):
        return _reference(core, definitions) | schema
    if get_origin(core) is dict:
        key, value = get_args(core)
        names = _schema(key, definitions)
        schema |= {"type": "object", "additionalProperties": _schema(value, definitions)}
        return schema if names == {"type": "string"} else {**schema, "propertyNames": names}
    if get_origin(core) in (list, tuple):
        return {"type": "array", "items": _schema(get_args(core)[0], definitions), **schema}
    if get_origin(core) is Literal:
        return {"enum": list(get_args(core)), **schema}
    return {"type": _TYPES[core], **schema} if core in _TYPES else schema


def _constraints(meta: Meta) -> Schema:
    schema: Schema = dict(meta.extra_json_schema or {})
    if meta.description:
        schema["description"] = meta.description
    if meta.examples:
        schema["examples"] = list(meta.examples)
    if meta.extra and "doc" in meta.extra:
        schema["description"] = meta.extra["doc"]
    bounds = {name: getattr(meta, attribute) for attribute, name in _BOUNDS.items()}
    return schema | {name: bound for name, bound in bounds.items() if bound is not None}


def _reference(core: type[msgspec.Struct], definitions: dict[str, Schema]) -> Schema:
    name = core.__name__
    if name not in definitions:
        definitions[name] = {}  # taken, for a Struct that holds itself
        fields = msgspec.structs.fields(core)
        properties = {field.encode_name: _property(field, definitions) for field in fields}
        definitions[name] = {
            "description": (core.__doc__ or "").partition("\n")[0],
            "type": "object",
            "properties": properties,
            "additionalProperties": False,
        }
        required = [field.encode_name for field in fields if field.required]
        if required:
            definitions[name]["required"] = required
    return {"$ref": f"#/$defs/{name}"}


def _property(field: msgspec.structs.FieldInfo, definitions: dict[str, Schema]) -> Schema:
    schema = _schema(field.type, definitions)
    default = field.default_factory() if callable(field.default_factory) else field.default
    if field.required or default is None or default is UNSET or isinstance(default, msgspec.Struct):
        return schema
    return {**schema, "default": msgspec.to_builtins(default, enc_hook=str)}
