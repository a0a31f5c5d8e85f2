"""Pages of the public names: each public module one, each name of its ``__all__`` described from its docstring.

Public are the package itself, its wings whose front door has an ``__all__``, and `gw_sqla.models`. What a class
inherits from one that is not public is described with it; what it inherits from SQLAlchemy is not.
"""

from __future__ import annotations

import inspect
from importlib import import_module
from pkgutil import iter_modules
from types import ModuleType

import gw_sqla
from docsite.markup import code, title

__all__ = ["module_pages", "public_modules"]


def public_modules() -> list[ModuleType]:
    """Return the modules whose names are public."""
    wings = [import_module(f"gw_sqla.{found.name}") for found in iter_modules(gw_sqla.__path__) if found.ispkg]
    return [gw_sqla, *(wing for wing in wings if hasattr(wing, "__all__")), import_module("gw_sqla.models")]


def module_pages() -> dict[str, str]:
    """Return the text of each page by its name."""
    described: dict[int, str] = {}
    return {f"api-{module.__name__}": _page(module, described) for module in public_modules()}


def _page(module: ModuleType, described: dict[int, str]) -> str:
    first, *_ = (inspect.getdoc(module) or "").splitlines()
    parts = [title(module.__name__, first), f".. currentmodule:: {module.__name__}\n"]
    for name in module.__all__:
        value = getattr(module, name)
        elsewhere = described.get(id(value))
        if elsewhere is None and inspect.getdoc(value) and (inspect.isclass(value) or inspect.isroutine(value)):
            described[id(value)] = f"{module.__name__}.{name}"
            parts.append(_class(name, value) if inspect.isclass(value) else f".. autofunction:: {name}\n")
        elif elsewhere is not None:
            parts.append(f".. py:data:: {name}\n\n   It is :py:obj:`{elsewhere}`.\n")
        else:
            parts.append(f".. py:data:: {name}\n\n   {_value(value)}\n")
    return "\n".join(parts)


def _value(value: object) -> str:
    shown = " ".join(str(value).split())
    return code(shown) if len(shown) < 500 and "object at" not in shown else f"A {type(value).__name__}."


def _class(name: str, value: type) -> str:
    ours = [base for base in value.__mro__ if base.__module__.startswith("gw_sqla")]
    found = {member: None for base in ours for member in (*base.__dict__, *getattr(base, "__annotations__", {}))}
    members = [member for member in found if not member.startswith("_") and member not in {"metadata", "registry"}]
    lines = [f".. autoclass:: {name}", "   :show-inheritance:"]
    if members:
        lines += [f"   :members: {', '.join(members)}", "   :undoc-members:"]
    if len(ours) > 1:
        others = dict.fromkeys(base.__name__ for base in value.__mro__ if base not in ours)
        lines += [f"   :inherited-members: {', '.join(others)}"]
    return "\n".join([*lines, ""])
