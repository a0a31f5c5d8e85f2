"""ORM events to jobs: an inserted Order adds process_order, a changed User.email adds verify_email.

Built upon ``add_job_on_commit``: the jobs of all changes go in one round trip when the transaction commits,
and follow its savepoints. One job for each object and rule, however often the object was flushed. Of an object
that is inserted or changed the payload is made after the last flush; of one that is deleted, before its row goes.

These are SQLAlchemy's mapper events: they see what the unit of work writes. Statements that write past it
(``update(User)``, ``insert(User)``, bulk methods, other programs) need a trigger in the database.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeVar

from sqlalchemy import event, inspect
from sqlalchemy.orm import ColumnProperty, QueryableAttribute, object_session

from gw_sqla.errors import ConfigurationError
from gw_sqla.jobs.argument_checks import check_job_key_mode
from gw_sqla.jobs.job_spec import JobOptions, JobSpec
from gw_sqla.jobs.task import Task, identifier_of, may_have_key, spec_of
from gw_sqla.types import JobKeyMode
from gw_sqla.unit_of_work.gathering import gather
from gw_sqla.unit_of_work.on_commit import OnCommit
from gw_sqla.unit_of_work.pending_job import Wanted

__all__ = ["ModelJobs"]

M = TypeVar("M")
P = TypeVar("P")
Columns: TypeAlias = Sequence[str | QueryableAttribute[Any]]
OptionsOf: TypeAlias = JobOptions | Callable[[M], JobOptions]


class ModelJobs:
    """Rules that add jobs when objects of a model are inserted, changed or deleted.

    Make one beside the models, with the application's repository (of either kind), and declare the rules; they
    hold for every session of the program, and for subclasses of the model.

    In each: ``task`` is a declared Task or an identifier. ``payload`` is a function that is given the object and
    returns the payload, or the names of its columns (or attributes such as ``User.email``), which become an
    object with these fields; left out, the payload is empty. ``options`` are those of `gw_sqla.JobSpec` as a
    dict, ``{"queue_name": "mail"}``, or a function that is given the object and returns one (for a
    ``job_key`` of its own, say). ``job_key_mode`` as in ``add_job``.

    Raises ConfigurationError for a model or a column that is none, InvalidJobError for bad options. What a
    function raises, and a payload that does not fit its task, fails the commit (of a deleted object: the flush).
    """

    def __init__(self, repository: OnCommit) -> None:
        self._repository = repository
        self._listeners: list[tuple[type, str, Callable[..., None]]] = []

    def on_insert(
        self,
        model: type[M],
        task: Task[P] | str,
        payload: Callable[[M], P] | Columns | None = None,
        *,
        options: OptionsOf[M] | None = None,
        job_key_mode: JobKeyMode | None = None,
    ) -> None:
        """Let each inserted object add a job, unless it is deleted again in the same transaction."""
        rule = _rule(self._repository, model, task, payload, options, job_key_mode)
        self._listen(model, "after_insert", lambda _mapper, _connection, target: rule.want(target))

    def on_update(
        self,
        model: type[M],
        task: Task[P] | str,
        payload: Callable[[M], P] | Columns | None = None,
        *,
        columns: Columns | None = None,
        options: OptionsOf[M] | None = None,
        job_key_mode: JobKeyMode | None = None,
    ) -> None:
        """Let each changed object add a job, when one of ``columns`` (by default: any column) has changed.

        A column that is set to the value that it has, as far as that is loaded, has not changed.
        """
        rule = _rule(self._repository, model, task, payload, options, job_key_mode)
        names = None if columns is None else _names(model, columns)

        def changed(_mapper: object, _connection: object, target: M) -> None:
            state: Any = inspect(target)
            watched = [prop.key for prop in state.mapper.column_attrs] if names is None else names
            if any(state.attrs[name].history.has_changes() for name in watched):
                rule.want(target)

        self._listen(model, "after_update", changed)

    def on_delete(
        self,
        model: type[M],
        task: Task[P] | str,
        payload: Callable[[M], P] | Columns | None = None,
        *,
        options: OptionsOf[M] | None = None,
        job_key_mode: JobKeyMode | None = None,
    ) -> None:
        """Let each deleted object add a job; its payload is made before the row is deleted."""
        rule = _rule(self._repository, model, task, payload, options, job_key_mode)
        self._listen(model, "before_delete", lambda _mapper, _connection, target: rule.want(target, now=True))

    def remove(self) -> None:
        """Take all these rules back, in a test or at the end of one."""
        for model, name, listener in self._listeners:
            event.remove(model, name, listener)
        self._listeners.clear()

    def _listen(self, model: type, name: str, listener: Callable[..., None]) -> None:
        event.listen(model, name, listener, propagate=True)
        self._listeners.append((model, name, listener))


@dataclass(frozen=True, eq=False, slots=True)
class _Rule:
    """What a change adds."""

    repository: OnCommit
    task: Task[Any] | str
    payload: Callable[[Any], Any]
    options: JobOptions | Callable[[Any], JobOptions]
    mode: JobKeyMode | None

    def want(self, target: object, *, now: bool = False) -> None:
        session = object_session(target)
        assert session is not None, "mapper events happen in a flush"
        schema, most = self.repository.schema, self.repository.max_payload_size
        wanted = Wanted(schema, most, lambda: self.spec(target), self.mode, origin=(id(self), id(target)))
        if now:
            wanted.decide()
        gather(session, wanted)

    def spec(self, target: object) -> JobSpec | None:
        state: Any = inspect(target)
        if state.was_deleted:
            return None  # inserted or changed, then deleted in the same transaction: there is nothing to tell of
        options = self.options(target) if callable(self.options) else self.options
        spec = spec_of(self.task, self.payload(target), options)
        if self.repository.intercept is not None:
            spec = self.repository.intercept(spec)
        check_job_key_mode(self.mode, has_key=spec.job_key is not None)
        return spec


def _rule(
    repository: OnCommit,
    model: type[M],
    task: Task[Any] | str,
    payload: Callable[[M], Any] | Columns | None,
    options: OptionsOf[M] | None,
    mode: JobKeyMode | None,
) -> _Rule:
    _names(model, [])
    given: OptionsOf[M] = JobOptions() if options is None else options
    if not callable(given):
        JobSpec(task_identifier=identifier_of(task), **given)  # what is wrong with them is told now
        check_job_key_mode(mode, has_key=may_have_key(task, given))
    if payload is None:
        return _Rule(repository, task, lambda _: None, given, mode)
    if callable(payload):
        return _Rule(repository, task, payload, given, mode)
    names = _names(model, payload)
    return _Rule(repository, task, lambda target: {name: getattr(target, name) for name in names}, given, mode)


def _names(model: type, columns: Columns) -> list[str]:
    """The names of columns of a mapped class; does not configure the mappers, which may be half declared."""
    mapper: Any = inspect(model, raiseerr=False)
    if not getattr(mapper, "is_mapper", False):
        raise ConfigurationError(f"model: {model!r} is not a mapped class")
    if isinstance(columns, str):
        raise ConfigurationError(f"columns: give a list of names, [{columns!r}]")
    names = [column if isinstance(column, str) else column.key for column in columns]
    for name in names:
        if not mapper.has_property(name) or not isinstance(mapper.get_property(name), ColumnProperty):
            raise ConfigurationError(f"columns: {name!r} is no column of {model.__name__}")
    return names
