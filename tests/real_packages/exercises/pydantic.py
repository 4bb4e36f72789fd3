"""Validate nested models with validators, read their errors, and make a JSON schema."""

from typing import Annotated, Generic, TypeVar

from pydantic import BaseModel, Field, TypeAdapter, ValidationError, computed_field, field_validator

T = TypeVar("T")


class Item(BaseModel):
    name: str
    count: Annotated[int, Field(ge=0)] = 0

    @field_validator("name")
    @classmethod
    def strip(cls, value):
        return value.strip()

    @computed_field
    @property
    def label(self) -> str:
        return f"{self.name}*{self.count}"


class Page(BaseModel, Generic[T]):
    items: list[T]


def exercise():
    page = Page[Item].model_validate_json('{"items": [{"name": " a ", "count": "3"}]}')
    try:
        TypeAdapter(list[Item]).validate_python([{"count": -1}])
    except ValidationError as error:
        refused = [[entry["type"], list(entry["loc"])] for entry in error.errors()]
    return [page.model_dump(), refused, Page[Item].model_json_schema()]
