"""Payloads: from Python values to JSON text and back, checked against a task's type.

What goes in is validated when a job is added through its Task and again when it runs, because
between the two the code may change and because Node, Rust and SQL add jobs too. Workers of the peers
put ``_cron`` and ``_trace`` beside a payload's own fields: a type that knows neither still fits.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Container, Mapping
from functools import cached_property
from typing import Any, Generic, TypeVar

from pydantic import PydanticUserError, Secret, SecretBytes, SecretStr, TypeAdapter, ValidationError
from pydantic_core import PydanticSerializationError, to_jsonable_python

from gw_sqla.error_texts.error_text import problems
from gw_sqla.errors import InvalidPayloadError, TaskDefinitionError

__all__ = ["PayloadType", "to_json"]

P = TypeVar("P")

_PEERS_FIELDS = ("_cron", "_trace")
_MASK = str(SecretStr("hidden"))
_decode = json.JSONDecoder().raw_decode
_ESCAPED_NUL = re.compile(r"(?<!\\)(?:\\\\)*\\u0000")


def to_json(value: Any) -> str:
    """Return the value as JSON text that PostgreSQL can hold.

    Takes what JSON has, and what pydantic can turn into it (models, dataclasses, datetimes, UUIDs).
    Raises InvalidPayloadError for anything else, for NaN and infinities, for NUL characters (jsonb
    cannot hold them) and for lone surrogates.
    """
    try:
        try:
            text = _dumps(value)
        except TypeError:
            text = _dumps(to_jsonable_python(value))
        text.encode()
    except UnicodeEncodeError as error:
        raise InvalidPayloadError(f"has text that is not valid Unicode: {error.reason}") from error
    except (TypeError, ValueError, PydanticSerializationError) as error:
        raise InvalidPayloadError(f"is not JSON: {error}") from error
    except RecursionError as error:
        raise InvalidPayloadError("is nested too deeply for JSON") from error
    if "\\u0000" in text and _ESCAPED_NUL.search(text):  # the search alone takes as long as the dump
        raise InvalidPayloadError("has a NUL character (U+0000), which PostgreSQL's jsonb cannot hold; remove it")
    return text


def _dumps(value: Any) -> str:
    return json.dumps(value, allow_nan=False, ensure_ascii=False, separators=(",", ":"))


def _loads(text: str) -> Any:
    """As json.loads, whose searches for white space take three times as long as the rest."""
    text = text.strip(" \t\n\r")
    try:
        value, end = _decode(text)
        if end != len(text):
            raise json.JSONDecodeError("Extra data", text, end)
    except ValueError as error:
        raise InvalidPayloadError(f"is not JSON: {error}") from error
    except RecursionError as error:
        raise InvalidPayloadError("is nested too deeply") from error
    return value


class PayloadType(Generic[P]):
    """The type of a task's payload: any annotation that pydantic understands; Any for plain JSON."""

    def __init__(self, annotation: Any) -> None:
        """Raises TaskDefinitionError when pydantic cannot use the annotation."""
        try:
            self._adapter: TypeAdapter[P] = TypeAdapter(annotation)
        except PydanticUserError as error:
            raise TaskDefinitionError(f"payload type {annotation!r} cannot be used: {error.message}") from error
        self.annotation = annotation
        self._is_any = annotation is Any

    def dump(self, value: P) -> tuple[P, Any]:
        """Validate the value and return it, and as plain JSON that fits the type; raises InvalidPayloadError."""
        if self._is_any:
            return value, value
        try:
            valid = self._adapter.validate_python(value)
            plain = self._adapter.dump_python(valid, mode="json", by_alias=True, warnings=False)
        except ValidationError as error:
            raise InvalidPayloadError(f"does not fit its task: {problems(error)}") from error
        except (PydanticSerializationError, ValueError) as error:  # circular, too deep, not Unicode
            raise InvalidPayloadError(f"is not JSON: {error}") from error
        except RecursionError as error:
            raise InvalidPayloadError("is nested too deeply for JSON") from error
        if plain is None:
            raise InvalidPayloadError("is null, which the queue stores as {}: give the payload a value")
        text = to_json(plain)
        if "null" in text and _has(self._adapter.dump_python(valid, warnings=False), _is_non_finite):
            raise InvalidPayloadError("has NaN or an infinity, which JSON has not: pydantic would store null for it")
        if _MASK in text and _has(self._adapter.dump_python(valid, warnings=False), _is_secret):
            raise InvalidPayloadError(
                f"has a secret, for which pydantic would store {_MASK}: a job's payload is plain text in the database; "
                "if it may hold the secret, give its field a serializer, else a reference to it"
            )
        try:
            self.load(text)  # a model may have been changed, or leave out what it needs itself
        except InvalidPayloadError as error:
            raise InvalidPayloadError(f"{error.problem} (after it was turned into JSON)") from error
        return valid, plain

    def load(self, text: str) -> P:
        """Return the value of JSON text as stored.

        Raises InvalidPayloadError, which leaves the payload's values out; a message may hold names of fields,
        keys of dicts, tags of unions, and what a validator of the type's own says.
        """
        value: P
        if self._is_any:
            value = _loads(text)
            return value
        validate = self._adapter.validator.validate_json  # TypeAdapter's own method costs as much again
        try:
            value = validate(text)
        except ValidationError as error:
            plain = self._without_peers_fields(text)
            if plain is None:
                raise InvalidPayloadError(f"does not fit its task: {problems(error)}") from error
        else:
            return value
        try:
            value = validate(plain)
        except ValidationError as error:
            raise InvalidPayloadError(f"does not fit its task: {problems(error)}") from error
        return value

    def json_schema(self) -> dict[str, Any]:
        """Return the JSON Schema of payloads as they are stored."""
        return self._adapter.json_schema(mode="validation")

    @property
    def takes_lists(self) -> bool:
        """Whether a list may fit, as a batch task's payload must."""
        return bool(self._schema.get("type", "array") == "array")

    def _without_peers_fields(self, text: str) -> str | None:
        """The payload, or a batch's items, without the peers' fields, or None if it has none that is not its own."""
        try:
            value = _loads(text)
        except InvalidPayloadError:
            return None  # the first error tells what is wrong with the text
        schema = self._schema
        if isinstance(value, list):
            schema = schema.get("items", {})
            own = self._own_fields(schema) if isinstance(schema, dict) else ()
            plain: Any = [_without(item, own) for item in value]
        else:
            plain = _without(value, self._own_fields(schema))
        return None if plain == value else json.dumps(plain)

    def _own_fields(self, schema: dict[str, Any]) -> Container[str]:
        """The fields that a schema has, or what it refers to in the definitions of this type's."""
        name = str(schema.get("$ref", "")).removeprefix("#/$defs/")
        fields: Container[str] = self._schema.get("$defs", {}).get(name, schema).get("properties", ())
        return fields

    @cached_property
    def _schema(self) -> dict[str, Any]:
        try:
            return self.json_schema()
        except PydanticUserError:
            return {}  # JSON Schema cannot describe the type: nothing is known about it


def _without(value: Any, own: Container[str]) -> Any:
    """The value, if it is an object, without the peers' fields that are not its own."""
    if not isinstance(value, dict) or not any(name in value and name not in own for name in _PEERS_FIELDS):
        return value
    return {name: item for name, item in value.items() if name in own or name not in _PEERS_FIELDS}


def _has(value: Any, test: Callable[[Any], bool]) -> bool:
    if isinstance(value, Mapping):
        return any(_has(item, test) for item in value.values())
    if isinstance(value, (list, tuple, set, frozenset)):
        return any(_has(item, test) for item in value)
    return test(value)


def _is_non_finite(value: Any) -> bool:
    return isinstance(value, float) and not math.isfinite(value)


def _is_secret(value: Any) -> bool:
    return isinstance(value, (Secret, SecretStr, SecretBytes))
