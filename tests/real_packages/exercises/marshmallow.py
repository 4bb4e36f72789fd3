"""Load and dump nested schemas that refer to each other by name."""

from marshmallow import Schema, ValidationError, fields, post_load, validate


class Item(Schema):
    name = fields.Str(required=True, validate=validate.Length(min=1))
    when = fields.Date()

    @post_load
    def mark(self, data, **kwargs):
        return {**data, "loaded": True}


class Box(Schema):
    items = fields.List(fields.Nested("Item"), data_key="things")


def exercise():
    loaded = Box().load({"things": [{"name": "a", "when": "2024-02-03"}]})
    try:
        Box().load({"things": [{"name": ""}, {}]})
    except ValidationError as error:
        refused = {key: {str(k): v for k, v in value.items()} for key, value in error.messages.items()}
    return [loaded["items"][0]["loaded"], Box().dump(loaded), refused]
