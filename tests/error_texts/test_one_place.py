"""Whatever logs an exception asks the one place that knows what of it may be shown."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import gw_sqla

LEVELS = {"debug", "info", "warning", "error", "critical", "exception", "log"}
ROOT = Path(gw_sqla.__file__).parent


def logged(tree: ast.AST) -> Iterator[ast.Call]:
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=ast.Attribute(value=ast.Name(id="log"), attr=level)) if level in LEVELS:
                yield node


def shows_itself(call: ast.Call, name: str) -> bool:
    """Whether the exception of this name is an argument, or is made to text in one."""
    for argument in [*call.args, *(keyword.value for keyword in call.keywords)]:
        for node in ast.walk(argument):
            match node:
                case ast.FormattedValue(value=ast.Name(id=found)) if found == name:
                    return True
                case ast.Call(func=ast.Name(id="str" | "repr"), args=[ast.Name(id=found)]) if found == name:
                    return True
        if isinstance(argument, ast.Name) and argument.id == name:
            return True
    return False


def faults(source: str) -> list[int]:
    tree = ast.parse(source)
    found = [call.lineno for call in logged(tree) if call.func.attr == "exception"]  # type: ignore[attr-defined]
    for node in ast.walk(tree):
        names: list[str] = []
        if isinstance(node, ast.ExceptHandler) and node.name:
            names = [node.name]
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            names = [arg.arg for arg in node.args.args if arg.arg in {"error", "fault", "refusal"}]
        found += [call.lineno for call in logged(node) for name in names if shows_itself(call, name)]
        found += [call.lineno for call in logged(node) if any(word.arg == "exc_info" for word in call.keywords)]
    return sorted(set(found))


def test_no_log_call_shows_an_exception_by_itself() -> None:
    found = {str(path.relative_to(ROOT)): faults(path.read_text()) for path in ROOT.rglob("*.py")}
    assert {path: lines for path, lines in found.items() if lines} == {}


def test_this_test_sees_them() -> None:
    assert faults("try: x\nexcept E as e:\n log.error('%s', e)") == [3]
    assert faults("try: x\nexcept E as e:\n log.error(f'{e}')") == [3]
    assert faults("try: x\nexcept E as e:\n log.error('%s', str(e)[:9])") == [3]
    assert faults("try: x\nexcept E:\n log.exception('no')") == [3]
    assert faults("try: x\nexcept E:\n log.error('no', exc_info=True)") == [3]
    assert faults("def f(fault):\n log.error('%s', fault)") == [2]
    assert faults("try: x\nexcept E as e:\n log.error('%s', error_text(e))") == []
