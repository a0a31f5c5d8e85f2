"""Findings: collects what is wrong, or worth a warning, while a text is read."""

from __future__ import annotations

from gw_sqla.errors import CrontabProblem

__all__ = ["Findings"]


class Findings:
    """The problems of a crontab so far; ``line`` is where the next ones are."""

    def __init__(self) -> None:
        self.line = 1
        self.problems: list[CrontabProblem] = []

    def error(self, column: int, text: str) -> None:
        """Note a fault; ``column`` counts from 1."""
        self.problems.append(CrontabProblem(self.line, column, text))

    def warn(self, column: int, text: str) -> None:
        """Note what works here and may surprise, or not work elsewhere."""
        self.problems.append(CrontabProblem(self.line, column, text, is_warning=True))

    @property
    def errors(self) -> list[CrontabProblem]:
        """The problems that are no mere warnings."""
        return [problem for problem in self.problems if not problem.is_warning]
