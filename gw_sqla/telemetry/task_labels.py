"""TaskLabels: which tasks have a label value of their own. Each is a time series more in whatever stores them."""

from __future__ import annotations

import logging

__all__ = ["OTHER", "TaskLabels"]

log = logging.getLogger(__name__)

OTHER = "other"
"""What stands for all the tasks that are too many."""


class TaskLabels:
    """The first ``most`` tasks that are asked for have labels, the others share one; which is logged once."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._labels: dict[str, str] = {}
        self._is_said = False

    def of(self, task_identifier: str) -> str:
        """Return the label of a task."""
        label = self._labels.get(task_identifier)
        if label is not None:
            return label
        if len(self._labels) < self._most:
            self._labels[task_identifier] = task_identifier
            return task_identifier
        if not self._is_said:
            self._is_said = True
            log.warning("metrics: there are more than %d tasks; those that came later are %r", self._most, OTHER)
        return OTHER
