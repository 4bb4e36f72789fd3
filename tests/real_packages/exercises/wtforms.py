"""Validate a form with fields and a validator of one's own, and render it."""

from wtforms import Form, IntegerField, SelectField, StringField, ValidationError, validators


class Entry(Form):
    name = StringField("Name", [validators.Length(min=2)])
    age = IntegerField(default=1)
    kind = SelectField(choices=[("a", "A"), ("b", "B")])

    def validate_age(self, field):
        if field.data < 0:
            raise ValidationError("too young")


def exercise():
    form = Entry(data={"name": "x", "age": -1, "kind": "c"})
    return [form.validate(), form.errors, str(form.name(class_="wide")), str(form.kind())]
