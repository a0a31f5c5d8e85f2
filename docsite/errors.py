"""The page of the errors: what each means, from its docstring, and what to do, which is said here."""

from __future__ import annotations

import inspect

from docsite.markup import table, title
from gw_sqla import errors

__all__ = ["WHAT_TO_DO", "errors_page", "public_errors"]

WHAT_TO_DO = {
    "GwSqlaError": "Catch it where any of these will do; read which it is.",
    "ConfigurationError": "Change the setting or the URL that the text names, to what it says. Nothing was done.",
    "CrontabError": "Mend the lines in ``problems``; ``gw-sqla crontab check`` shows them all before you deploy.",
    "TaskDefinitionError": "Change the handler's signature or the options of its task as the text says.",
    "InvalidJobError": "Change the argument named in ``argument``. The session is as it was: go on, or roll back.",
    "InvalidFilterError": "Change the word in ``word``; ``suggestion`` may be what was meant.",
    "InvalidPayloadError": "Make the payload fit its task's type, or store what is large elsewhere and pass its key.",
    "ExecutableFailedError": "Read the end of the program's standard error in the text, and its ``exit_code``.",
    "JobFailedError": "Read the text: the job names no task of this worker, or the process of its handler has ended.",
    "JobTesterError": "Change the test as the text says: as it is, it would test nothing, or never end.",
    "JobNotAddedError": "Ask for the job after its transaction has committed.",
    "LockLostError": "Roll back: the work is another worker's. Where it happens often, raise ``heartbeat_threshold``, "
    "or stop what blocks the event loop.",
    "ReadTimeoutError": "Narrow the filter, or raise ``timeout`` of `gw_sqla.admin.ScanLimits`.",
    "ResourceError": "Look at its cause, which is what your resource raised; the worker cannot run without it.",
    "SinkUnavailableError": "Nothing: the jobs wait until the broker takes them. Raise it in a sink of your own.",
    "LoopError": "Open :py:obj:`gw_sqla.database_loop` around all work with the database on trio.",
    "SessionError": "Do as the text says: another session, or a rollback of this one first.",
    "AccessError": "Let the owner of the schema run ``gw-sqla grants`` for the role; ``gw-sqla doctor`` says what "
    "is missing.",
    "SchemaError": "Look which of those below it is.",
    "SchemaMissingError": "Run ``gw-sqla migrate``, or set ``GRAPHILE_WORKER_SCHEMA`` to the name of the schema.",
    "SchemaBehindError": "Run ``gw-sqla migrate`` before the new version of the worker starts.",
    "SchemaTooOldError": "Upgrade the schema with graphile-worker 0.16 or later, then run ``gw-sqla migrate``.",
    "SchemaTooNewError": "Upgrade gw_sqla: another worker has migrated the schema beyond what this version knows.",
    "SchemaInUseError": "Let the jobs be done, or remove them, before the downgrade.",
    "SchemaLockedError": "Wait for whom the text names, or end that session, and migrate again.",
    "FailPermanently": "Raise it for a job that no further attempt can help. Mend the cause, then retry the job.",
    "RetryAfter": "Raise it where the other side has said when to come again.",
    "Snooze": "Raise or return it where the time has not come yet; raise ``limit`` where that is meant to last.",
}


def public_errors() -> list[type[Exception]]:
    """Return the classes, in the order of their tree."""
    found = [getattr(errors, name) for name in errors.__all__]
    order = list(WHAT_TO_DO)
    raised = [value for value in found if issubclass(value, Exception)]
    return sorted(raised, key=lambda value: order.index(value.__name__))


def errors_page() -> str:
    """Return the page."""
    text = "Errors of the database itself pass through as SQLAlchemy raises them."
    rows = []
    for error in public_errors():
        means = (inspect.getdoc(error) or "").split("\n\n")[0]
        parent = error.__mro__[1].__name__
        rows.append((f":py:class:`gw_sqla.{error.__name__}`", parent, means, WHAT_TO_DO[error.__name__]))
    return title("Errors", text) + table(("error", "is a", "means", "what to do"), rows)
