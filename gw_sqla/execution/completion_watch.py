"""What becomes of the transaction in which a handler completes its job, as its session tells.

A commit that was answered has completed the job; a rollback, also that of the savepoint in which the job was completed,
has not, and the job may lose its lock again. Where the answer to a commit is lost, the session does not know, nor where
it is on a connection of the handler's, whose transaction somebody else may end: then the database is asked, when the
handler has ended (`gw_sqla.execution.transactional_completion`).

PostgreSQL answers the commit of a transaction that an error has aborted with a rollback and no error. A handler may
have caught that error after it completed the job; hence a statement before the commit, which then fails.

SQLAlchemy's events do not say which transaction they are about, so the innermost is asked for. They are listened to on
the class Session: a session without completions pays a look into ``session.info`` for each.
"""

from __future__ import annotations

from sqlalchemy import Connection, event
from sqlalchemy.orm import Session, SessionTransaction

from gw_sqla.jobs.run import Run

__all__ = ["watch"]

_KEY = "gw_sqla.completions"


class _Watched:
    """The runs that a session's transaction completes, each with the transaction or savepoint in which it does."""

    def __init__(self) -> None:
        self.runs: dict[Run, SessionTransaction] = {}
        self.is_deciding = False
        self.may_be_aborted = False


def watch(session: Session, run: Run, *, is_last: bool) -> None:
    """Tell the run what becomes of the transaction that the session is in, which has completed its job.

    ``is_last``: nothing comes between that and the commit, so it cannot have been aborted meanwhile.
    """
    if isinstance(session.get_bind(), Connection):
        return
    transaction = session.get_nested_transaction() or session.get_transaction()
    assert transaction is not None
    watched: _Watched = session.info.setdefault(_KEY, _Watched())
    watched.runs[run] = transaction
    watched.may_be_aborted |= not is_last


@event.listens_for(Session, "before_commit")
def _before_commit(session: Session) -> None:
    watched: _Watched | None = session.info.get(_KEY)
    if watched is not None and session.get_nested_transaction() is None:
        if watched.may_be_aborted:
            session.connection().exec_driver_sql("select 1")
        watched.is_deciding = True


@event.listens_for(Session, "after_commit", insert=True)  # before those of others, which may raise
def _after_commit(session: Session) -> None:
    watched: _Watched | None = session.info.get(_KEY)
    if watched is None:
        return
    released = session.get_nested_transaction()
    if released is None:
        for run in watched.runs:
            run.committed()
        del session.info[_KEY]
        return
    around = released.parent
    while around is not None and around.parent is not None and not around.nested:  # a flush
        around = around.parent
    assert around is not None
    watched.runs = {run: around if inside is released else inside for run, inside in watched.runs.items()}


@event.listens_for(Session, "after_transaction_end")
def _after_end(session: Session, transaction: SessionTransaction) -> None:
    watched: _Watched | None = session.info.get(_KEY)
    if watched is None:
        return
    if transaction.parent is None:
        del session.info[_KEY]
    for run in [run for run, inside in watched.runs.items() if inside is transaction]:
        del watched.runs[run]
        if not watched.is_deciding:
            run.rolled_back()
