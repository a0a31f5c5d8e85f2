"""A form made of a payload's JSON Schema, and what was filled in as a payload again."""

from __future__ import annotations

from datetime import date
from enum import StrEnum
from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, Field, TypeAdapter

from gw_sqla.web.forms import Form
from gw_sqla.web.payload_fields import PayloadField, fields_of, payload_of_form


class Colour(StrEnum):
    RED = "red"
    NUMBER = "7"


class Place(BaseModel):
    street: str
    city: str | None = None


class Everything(BaseModel):
    name: Annotated[str, Field(max_length=20, description="Who it is")]
    story: Annotated[str, Field(max_length=5000)] = ""
    count: Annotated[int, Field(ge=1, le=9)]
    share: float = 0.5
    is_old: bool
    maybe: bool | None = None
    day: date | None = None
    colour: Colour = Colour.RED
    level: Literal[1, 2, "x"]
    tags: list[str] = []
    either: int | list[int] = 3
    home: Place
    work: Place | None = None
    a_b: Annotated[int | None, Field(alias="a/b~c")]


def fields(kind: Any) -> dict[str, PayloadField]:
    found = fields_of(TypeAdapter(kind).json_schema())
    assert found is not None
    return {".".join(one.path): one for one in found}


def read(kind: Any, *pairs: tuple[str, str]) -> tuple[dict[str, Any], dict[str, str]]:
    found = fields_of(TypeAdapter(kind).json_schema())
    assert found is not None
    return payload_of_form(found, Form(pairs))


def test_fields() -> None:
    found = fields(Everything)
    assert {name: one.kind for name, one in found.items()} == {
        "name": "text",
        "story": "lines",
        "count": "integer",
        "share": "number",
        "is_old": "boolean",
        "maybe": "boolean",
        "day": "text",
        "colour": "choice",
        "level": "choice",
        "tags": "json",
        "either": "json",
        "home": "group",
        "home.street": "text",
        "home.city": "text",
        "work": "group",
        "work.street": "text",
        "work.city": "text",
        "a/b~c": "integer",
    }
    assert [name for name, one in found.items() if one.required] == [
        "name", "count", "is_old", "level", "home", "home.street", "work.street", "a/b~c",
    ]  # fmt: skip
    assert found["name"].description == "Who it is"
    assert found["count"].limits == {"min": "1", "max": "9"}
    assert found["name"].limits == {"maxlength": "20"}
    assert (found["day"].input, found["day"].nullable) == ("date", True)
    assert found["colour"].choices == {"red": "red", "7": "7"}
    assert found["level"].choices == {"1": 1, "2": 2, "x": "x"}
    assert (found["share"].default, found["tags"].default, found["either"].default) == ("0.5", "[]", "3")
    assert found["a/b~c"].name == "payload/a~1b~0c"


def test_what_was_filled_in_fits_the_type() -> None:
    payload, faults = read(
        Everything,
        ("payload/name", "Ada"),
        ("payload/count", "3"),
        ("payload/share", "0.25"),
        ("payload/is_old", "false"),
        ("payload/day", "2026-01-31"),
        ("payload/colour", "7"),
        ("payload/level", "2"),
        ("payload/tags", '["a", "b"]'),
        ("payload/home/street", "1 rue"),
        ("payload/a~1b~0c", ""),
    )
    assert faults == {}
    assert payload == {
        "name": "Ada",
        "count": 3,
        "share": 0.25,
        "is_old": False,
        "day": "2026-01-31",
        "colour": "7",
        "level": 2,
        "tags": ["a", "b"],
        "home": {"street": "1 rue"},
        "a/b~c": None,
    }
    assert TypeAdapter(Everything).validate_python(payload).home.street == "1 rue"


def test_a_group_that_may_be_left_out() -> None:
    class With(BaseModel):
        work: Place | None = None
        name: str = ""

    assert read(With, ("payload/name", "x"))[0] == {"name": "x"}
    assert read(With, ("payload/work/city", "Lyon"))[0] == {"work": {"street": "", "city": "Lyon"}}


@pytest.mark.parametrize(
    ("name", "text", "why"),
    [
        ("count", "x", "must be a whole number"),
        ("count", "1.5", "must be a whole number"),
        ("count", "9" * 500, "must be a whole number"),
        ("share", "many", "must be a number"),
        ("share", "nan", "must be a number"),
        ("share", "1e999", "must be a number"),
        ("tags", "[", "is not JSON"),
        ("tags", "[" * 100_000, "is not JSON"),
    ],
)
def test_what_cannot_be_read_is_told_by_its_field(name: str, text: str, why: str) -> None:
    payload, faults = read(Everything, (f"payload/{name}", text))
    assert list(faults) == [f"payload/{name}"]
    assert why in faults[f"payload/{name}"]
    assert name not in payload


@pytest.mark.parametrize("kind", [Any, int, list[int], dict[str, int], int | str, dict[str, Place]])
def test_payloads_that_are_one_field_of_json(kind: Any) -> None:
    assert fields_of(TypeAdapter(kind).json_schema()) is None


class Node(BaseModel):
    value: int
    next: Node | None = None


def test_a_type_that_has_itself_is_not_taken_apart_for_ever() -> None:
    found = fields(Node)
    assert max(len(one.path) for one in found.values()) == 4
    assert found["next.next.next.next"].kind == "json"
    assert read(Node, ("payload/value", "1"), ("payload/next/next/value", "3"))[0] == {
        "value": 1,
        "next": {"next": {"value": 3}},
    }


@pytest.mark.parametrize(
    "schema",
    [
        {},
        {"$ref": "#/nowhere"},
        {"$ref": "#"},
        {"properties": {}},
        {"properties": {"a": {"$ref": "#/properties/a"}}},
        {"properties": {"a": {}}},
        {"properties": {"a": {"anyOf": []}}},
        {"properties": {"a": {"anyOf": [True]}}},
        {"properties": {"a": {"enum": [None, "x", 1.5, True]}}},
        {"properties": {f"p{n}": {"type": "string"} for n in range(300)}},
    ],
)
def test_any_schema_is_borne(schema: dict[str, Any]) -> None:
    for one in fields_of(schema) or ():
        assert one.path
