"""Payloads: a round trip through JSON text keeps the value; what cannot be stored is refused."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, Field, PlainSerializer, Secret, SecretBytes, SecretStr
from typing_extensions import TypedDict

from gw_sqla import InvalidPayloadError, TaskRegistry
from gw_sqla.jobs.payload import PayloadType, to_json

TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=10)
PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=10,
)


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")
    name: str
    count: int = 0


@dataclass
class Point:
    x: int
    y: int = 0


class Order(TypedDict):
    number: int


@given(PLAIN)
def test_plain_json_comes_back(value: Any) -> None:
    text = to_json(value)
    assert json.loads(text) == value
    assert PayloadType[Any](Any).load(text) == value


@given(TEXT, st.integers(-(2**60), 2**60))
def test_a_model_comes_back(name: str, count: int) -> None:
    kind = PayloadType[Strict](Strict)
    value = Strict(name=name, count=count)
    assert kind.load(to_json(kind.dump(value)[1])) == value


@given(st.integers(-(2**60), 2**60), st.integers(-(2**60), 2**60))
def test_a_dataclass_and_a_typed_dict_come_back(x: int, y: int) -> None:
    points = PayloadType[list[Point]](list[Point])
    assert points.load(to_json(points.dump([Point(x, y)])[1])) == [Point(x, y)]
    orders = PayloadType[Order](Order)
    assert orders.load(to_json(orders.dump({"number": x})[1])) == {"number": x}


@given(st.text(alphabet="\\\0u0", max_size=12))
def test_nul_is_refused_and_only_nul(text: str) -> None:
    if "\0" in text:
        with pytest.raises(InvalidPayloadError, match="NUL"):
            to_json([text])
    else:
        assert json.loads(to_json([text])) == [text]


@pytest.mark.parametrize("value", [float("nan"), float("inf"), "\ud800", object(), {"a": [object()]}])
def test_what_is_not_json(value: Any) -> None:
    with pytest.raises(InvalidPayloadError):
        to_json(value)


def test_nested_too_deeply() -> None:
    value: Any = []
    for _ in range(100_000):
        value = [value]
    with pytest.raises(InvalidPayloadError, match="nested too deeply"):
        to_json(value)


@pytest.mark.parametrize("extra", [{"_cron": {"ts": "x"}}, {"_trace": {}}, {"_cron": 1, "_trace": 2}])
def test_fields_of_the_peers_are_tolerated(extra: dict[str, Any]) -> None:
    assert PayloadType[Strict](Strict).load(json.dumps({"name": "a", **extra})) == Strict(name="a")


@pytest.mark.parametrize("items", [list[Strict], Sequence[Strict], list[dict[str, str]]])
def test_those_of_a_batchs_items_too(items: Any) -> None:
    batch = [{"name": "a", "_trace": {}}, {"name": "b"}]
    loaded: Any = PayloadType[Any](items).load(json.dumps(batch))
    assert [getattr(one, "name", None) or one["name"] for one in loaded] == ["a", "b"]
    assert "_trace" not in loaded[0] if isinstance(loaded[0], dict) else True


def test_a_type_that_has_such_a_field_keeps_it() -> None:
    class Traced(Strict):
        trace: int = Field(alias="_trace")

    with pytest.raises(InvalidPayloadError, match="_trace"):
        PayloadType[Any](list[Traced]).load('[{"name": "a", "_trace": {}}]')
    assert PayloadType[Any](list[Traced]).load('[{"name": "a", "_trace": 7, "_cron": 1}]')[0].trace == 7


def test_other_fields_are_not() -> None:
    with pytest.raises(InvalidPayloadError, match="other"):
        PayloadType[Strict](Strict).load('{"name": "a", "_cron": 1, "other": 2}')


def test_errors_show_no_value() -> None:
    with pytest.raises(InvalidPayloadError, match="count") as caught:
        PayloadType[Strict](Strict).load('{"name": "a", "count": "a secret"}')
    assert "a secret" not in str(caught.value)


def test_null_is_refused_where_a_type_is_declared() -> None:
    with pytest.raises(InvalidPayloadError, match="null"):
        PayloadType[int | None](int | None).dump(None)


class Anything(BaseModel):
    value: Any


CIRCULAR: list[Any] = []
CIRCULAR.append(CIRCULAR)


@pytest.mark.parametrize("value", [CIRCULAR, {"\ud800": 1}, b"\xff"])
def test_what_a_model_cannot_turn_into_json(value: Any) -> None:
    with pytest.raises(InvalidPayloadError):
        PayloadType[Anything](Anything).dump(Anything(value=value))


@pytest.mark.parametrize("value", [float("nan"), [1, {"a": float("inf")}], {"a": (float("-inf"),)}])
def test_nan_is_not_stored_as_null(value: Any) -> None:
    with pytest.raises(InvalidPayloadError, match="NaN or an infinity"):
        PayloadType[Anything](Anything).dump(Anything(value=value))


@pytest.mark.parametrize("value", [None, "null", [None, 1.5]])
def test_null_in_a_field_is_fine(value: Any) -> None:
    assert PayloadType[Anything](Anything).dump(Anything(value=value))[1] == {"value": value}


@pytest.mark.parametrize("value", [SecretStr("hush"), [{"a": SecretBytes(b"hush")}], Secret[str]("hush")])
def test_secrets_are_not_stored_as_asterisks(value: Any) -> None:
    with pytest.raises(InvalidPayloadError, match="has a secret") as caught:
        PayloadType[Anything](Anything).dump(Anything(value=value))
    assert "hush" not in str(caught.value)


def test_a_secret_with_a_serializer_is_stored() -> None:
    payload_type = PayloadType[SecretStr](
        Annotated[SecretStr, PlainSerializer(SecretStr.get_secret_value, when_used="json")]
    )
    assert payload_type.dump(SecretStr("hush"))[1] == "hush"
    assert PayloadType[str](str).dump("**********")[1] == "**********"


def test_a_batch_task_takes_lists_only() -> None:
    tasks = TaskRegistry()

    @tasks.task("batch", batch=True)
    async def batch(payload: Any) -> list[Any]:
        return list(payload)

    assert batch.spec([1]).payload == [1]
    with pytest.raises(InvalidPayloadError, match="must be a list"):
        batch.spec({"a": 1})
