"""A payload as a tree that can be opened and closed without a script: nodes, bounded in number, depth and length."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from gw_sqla.web.json_texts import encodable, json_text

__all__ = ["Node", "tree_of"]

_MOST_NODES = 2_000
_DEEPEST = 30
_LONGEST = 2_000


@dataclass(frozen=True, slots=True)
class Node:
    """A value: the name that it has in its parent, its text or how many it has, and the values in it."""

    key: str | None
    text: str
    nodes: tuple[Node, ...] = ()


class _Budget:
    def __init__(self) -> None:
        self.left = _MOST_NODES


def tree_of(value: Any) -> Node:
    """Return the tree of a JSON value; what is too much is left out, and said to be."""
    return _node(None, value, _Budget(), 0)


def _node(key: str | None, value: Any, budget: _Budget, depth: int) -> Node:
    budget.left -= 1
    if not isinstance(value, dict | list):
        text = str(value) if isinstance(value, Decimal) else json_text(value)
        return Node(key, text if len(text) <= _LONGEST else f"{text[:_LONGEST]}… ({len(text):,} characters)")
    items = value.items() if isinstance(value, dict) else ((str(index), item) for index, item in enumerate(value))
    what = f"{{{len(value):,}}}" if isinstance(value, dict) else f"[{len(value):,}]"
    if depth >= _DEEPEST:
        return Node(key, f"{what} deeper than is shown")
    nodes: list[Node] = []
    for name, item in items:
        if budget.left <= 0:
            nodes.append(Node(None, "… more than is shown"))
            break
        nodes.append(_node(encodable(name), item, budget, depth + 1))
    return Node(key, what, tuple(nodes))
