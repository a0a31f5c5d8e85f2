"""A form made of a payload's JSON Schema: which fields it has, and how what was filled in becomes a payload again.

Objects are taken apart, as far as four levels down; lists, free objects and unions are a field of JSON each. What the
form sends is only made into JSON here: whether it fits the task is for the task's own type to say, as ever.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from gw_sqla.errors import InvalidPayloadError
from gw_sqla.web.forms import Form
from gw_sqla.web.json_texts import read_written

__all__ = ["PayloadField", "fields_of", "payload_of_form"]

_DEEPEST = 4
_MOST = 200
_KINDS = {"string": "text", "integer": "integer", "number": "number", "boolean": "boolean"}
_FORMATS = {"date": "date", "email": "email", "uri": "url", "time": "time"}
_LONG = 200
"""Characters: where a string may have more, it gets some lines."""


@dataclass(frozen=True, slots=True)
class PayloadField:
    """A field: where it is in the payload, of what kind, and what the schema says of it.

    ``kind``: text, lines, integer, number, boolean, choice, json, group (a heading: its fields follow it). ``input``:
    the type of the HTML element. ``choices``: texts to values. ``nullable``: it may be null. ``default``: what the
    schema says, as the form has it.
    """

    path: tuple[str, ...]
    kind: str
    title: str
    required: bool
    description: str = ""
    input: str = "text"
    choices: Mapping[str, Any] = field(default_factory=dict)
    nullable: bool = False
    default: str = ""
    limits: Mapping[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The name that the form has for it: a JSON Pointer."""
        return "payload" + "".join("/" + step.replace("~", "~0").replace("/", "~1") for step in self.path)


def fields_of(schema: Mapping[str, Any]) -> list[PayloadField] | None:
    """Return the fields of an object's schema; None where the payload is no object that has any: it is one of JSON."""
    root = _resolved(schema, schema)
    if not isinstance(root.get("properties"), dict) or not root["properties"]:
        return None
    found = list(_of_object(root, schema, ()))
    return found if len(found) <= _MOST else None


def payload_of_form(fields: list[PayloadField], form: Form) -> tuple[dict[str, Any], dict[str, str]]:
    """Return the payload, and by a field's name what cannot be read: the payload then lacks it."""
    payload: dict[str, Any] = {}
    faults: dict[str, str] = {}
    left_out: tuple[str, ...] | None = None
    for one in fields:
        if left_out is not None and one.path[: len(left_out)] == left_out:
            continue
        left_out = None
        if one.kind == "group":
            if not one.required and not _has_any(one, fields, form):
                left_out = one.path
                continue
            _put(payload, one.path, {})
            continue
        try:
            is_given, value = _value(one, form)
        except InvalidPayloadError as error:
            faults[one.name] = error.problem
            continue
        if is_given:
            _put(payload, one.path, value)
    return payload, faults


def _of_object(schema: Mapping[str, Any], root: Mapping[str, Any], path: tuple[str, ...]) -> Iterator[PayloadField]:
    required = schema.get("required", ())
    for name, given in schema["properties"].items():
        yield from _of_property(given, root, (*path, name), name in required)


def _of_property(given: Any, root: Mapping[str, Any], path: tuple[str, ...], required: bool) -> Iterator[PayloadField]:
    nullable, schema = _without_null(_resolved(given, root), root)
    title = str(schema.get("title") or given.get("title") or path[-1])
    common: dict[str, Any] = {
        "required": required,
        "description": str(given.get("description") or schema.get("description") or ""),
        "nullable": nullable,
    }
    properties = schema.get("properties")
    if isinstance(properties, dict) and properties and len(path) < _DEEPEST:
        yield PayloadField(path, "group", title, **common)
        yield from _of_object(schema, root, path)
        return
    default = given.get("default", schema.get("default"))
    choices = schema.get("enum", [schema["const"]] if "const" in schema else None)
    if isinstance(choices, list) and all(not isinstance(one, list | dict) for one in choices):
        values = {_text(one): one for one in choices if one is not None}
        yield PayloadField(path, "choice", title, choices=values, default=_given_default(default, "choice"), **common)
        return
    kind = _KINDS.get(str(schema.get("type")), "json")
    if kind == "text" and (schema.get("maxLength", 0) > _LONG or schema.get("contentMediaType")):
        kind = "lines"
    html = _FORMATS.get(str(schema.get("format")), "text")
    limits = _limits(schema, kind)
    yield PayloadField(path, kind, title, input=html, limits=limits, default=_given_default(default, kind), **common)


def _resolved(schema: Mapping[str, Any], root: Mapping[str, Any]) -> dict[str, Any]:
    """Return the schema that is meant where it is a reference to one of the root's definitions."""
    seen = 0
    found = dict(schema)
    while isinstance(found.get("$ref"), str) and seen < 10:
        seen += 1
        target: Any = root
        for step in str(found.pop("$ref")).removeprefix("#/").split("/"):
            target = target.get(step.replace("~1", "/").replace("~0", "~"), {}) if isinstance(target, dict) else {}
        found = {**(target if isinstance(target, dict) else {}), **found}
    if isinstance(found.get("allOf"), list) and len(found["allOf"]) == 1:
        inner = found.pop("allOf")[0]
        found = {**_resolved(inner, root), **found}
    return found


def _without_null(schema: dict[str, Any], root: Mapping[str, Any]) -> tuple[bool, dict[str, Any]]:
    """Tell whether null fits, and return the schema of what else does, where that is one."""
    kinds = schema.get("anyOf")
    if not isinstance(kinds, list):
        return False, schema
    others = [one for one in kinds if not (isinstance(one, dict) and one.get("type") == "null")]
    nullable = len(others) < len(kinds)
    if len(others) != 1 or not isinstance(others[0], dict):
        return nullable, {name: value for name, value in schema.items() if name != "anyOf"}
    rest = {name: value for name, value in schema.items() if name != "anyOf"}
    return nullable, {**_resolved(others[0], root), **rest}


def _limits(schema: Mapping[str, Any], kind: str) -> dict[str, str]:
    """What the browser can check too: as HTML's attributes. Patterns are another language there."""
    names = {"text": {"minLength": "minlength", "maxLength": "maxlength"}, "lines": {"maxLength": "maxlength"}}
    numbers = {"minimum": "min", "maximum": "max"}
    wanted = names.get(kind, numbers if kind in {"integer", "number"} else {})
    return {html: str(schema[name]) for name, html in wanted.items() if isinstance(schema.get(name), int | float)}


def _given_default(default: Any, kind: str) -> str:
    if default is None:
        return ""
    if kind == "json":
        return json.dumps(default, ensure_ascii=False)
    return _text(default)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _has_any(group: PayloadField, fields: list[PayloadField], form: Form) -> bool:
    inside = (one for one in fields if one.path[: len(group.path)] == group.path and one.kind != "group")
    return any(form.text(one.name) is not None for one in inside)


def _value(one: PayloadField, form: Form) -> tuple[bool, Any]:
    """Return whether it was filled in, and its value; an empty text is one where the field is required."""
    text = form.text(one.name)
    if text is None:
        if one.required and one.kind in {"text", "lines"} and not one.nullable:
            return True, ""
        return (True, None) if one.required and one.nullable else (False, None)
    match one.kind:
        case "integer":
            return True, _integer(text)
        case "number":
            return True, _number(text)
        case "boolean":
            return True, text == "true"
        case "json":
            return True, read_written(text)
        case "choice":
            return True, one.choices.get(text, text)
    return True, text


def _integer(text: str) -> int:
    digits = text.strip().removeprefix("-").removeprefix("+")
    if not digits.isascii() or not digits.isdecimal() or len(digits) > 400:
        raise InvalidPayloadError(f"must be a whole number, is {text[:40]!r}")
    return int(text)


def _number(text: str) -> int | float:
    try:
        return _integer(text)
    except InvalidPayloadError:
        pass
    try:
        number = float(text)
    except ValueError as error:
        raise InvalidPayloadError(f"must be a number, is {text[:40]!r}") from error
    if not math.isfinite(number):
        raise InvalidPayloadError(f"must be a number that JSON has, is {text[:40]!r}")
    return number


def _put(payload: dict[str, Any], path: tuple[str, ...], value: Any) -> None:
    place = payload
    for step in path[:-1]:
        place = place.setdefault(step, {})
    place[path[-1]] = value
