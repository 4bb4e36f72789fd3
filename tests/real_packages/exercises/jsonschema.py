"""Validate against a schema with a reference and a keyword of one's own."""

from jsonschema import Draft202012Validator, ValidationError, validators

SCHEMA = {
    "$defs": {"n": {"type": "integer", "even": True}},
    "type": "object",
    "properties": {"a": {"$ref": "#/$defs/n"}},
}


def even(validator, wanted, instance, schema):
    if wanted and instance % 2:
        yield ValidationError(f"{instance} is odd")


def exercise():
    own = validators.extend(Draft202012Validator, {"even": even})
    errors = [[list(e.path), e.message] for e in own(SCHEMA).iter_errors({"a": 3})]
    return [errors, own(SCHEMA).is_valid({"a": 2}), Draft202012Validator({"type": "string"}).is_valid(1)]
