"""What a session has gathered, and when it goes to the database.

The decision: a job belongs to the innermost transaction of the session, as an object does that is added to
it. A savepoint's release hands its jobs on to the transaction around it, its rollback drops them, and so
does whatever ends the session's transaction without a commit. At ``before_commit`` of that transaction the
session is flushed, payloads that are functions are called (they may add objects and jobs: then once more), and
all goes to the database in one add_jobs call. What is added after that, while the commit goes on, follows: by
SQLAlchemy's own flush from ``after_flush_postexec``, by other listeners of ``before_commit`` at once. A failure
leaves all as it was, for a rollback or for another commit.

SQLAlchemy's events do not say which transaction they are about, so the innermost is asked for. A commit of the
session's transaction while a savepoint is open announces itself before those of the savepoints; it is known by
being announced and not done when the last savepoint is released.

The listeners are on the class Session: a session's first job may come from a flush within its commit, when it
is too late to begin to listen. Sessions without jobs pay a look into ``session.info`` for each event.
Rejected: to add at every flush (a payload would not know what its row becomes, and a bulk of changes would be
many round trips).

Is it worth it to take jobs while a commit is under way? It takes three of the seven fields below and two of the five
events. The other way was written and tried: close the session once its jobs are sent, and answer a later one with a
SessionError. But the first job of a session often comes from the flush that its commit does, by ModelJobs or by an
application's own listener of a flush, and that flush is behind ``before_commit``. So ours would have to flush every
session of the program, with jobs or without; and whoever listens to ``before_commit`` to see what is in
``session.new`` (search indexes and audit trails do) would find it empty from the day that this module is imported.
"""

from __future__ import annotations

from sqlalchemy import event
from sqlalchemy.exc import InvalidRequestError
from sqlalchemy.orm import Session, SessionTransaction

from gw_sqla.error_texts.error_text import error_text
from gw_sqla.errors import SessionError
from gw_sqla.unit_of_work.pending_job import Wanted
from gw_sqla.unit_of_work.sending import send

__all__ = ["gather"]

_KEY = "gw_sqla.unit_of_work"
_MOST_ROUNDS = 100


class _Gathered:
    """The jobs of one session, by the transaction that they belong to, and how far a commit has come."""

    def __init__(self) -> None:
        self.waiting: dict[SessionTransaction, list[Wanted]] = {}
        self.sent: list[Wanted] = []
        self.announced = 0
        """Commits, of savepoints too, that have begun and are not done."""
        self.is_sending = False
        self.is_sent = False
        """The session's transaction is being committed, and what had gathered by then has been sent."""
        self.is_flushing = False
        self.released: SessionTransaction | None = None
        """The savepoint that was released last."""

    def drop(self, transaction: SessionTransaction) -> None:
        """Drop the jobs of a transaction that ended without a commit."""
        for wanted in self.waiting.pop(transaction, ()):
            wanted.handle.dropped()


def gather(session: Session, wanted: Wanted) -> None:
    """Let the job wait for the commit of the transaction that the session is in; begins one if there is none.

    Raises SessionError where no commit can follow that would add it.
    """
    transaction = _innermost(session)
    gathered = session.info.get(_KEY)
    if gathered is None:
        gathered = session.info[_KEY] = _Gathered()
    gathered.waiting.setdefault(transaction, []).append(wanted)
    if gathered.is_sent and not (gathered.is_flushing or gathered.is_sending or transaction.nested):
        try:
            _send(session, gathered, flush=True)
        except BaseException:
            gathered.waiting[transaction].remove(wanted)
            raise


def _innermost(session: Session) -> SessionTransaction:
    if session.twophase:
        raise SessionError("this session commits in two phases: PostgreSQL prepares no transaction that sends NOTIFY")
    if not session.in_transaction():
        if not session.autobegin:
            raise SessionError(
                "this session is in no transaction and begins none by itself: call session.begin() first"
            )
        try:
            session.begin()
        except InvalidRequestError as error:
            raise SessionError(f"this session cannot begin a transaction: {error_text(error)}") from error
    transaction = session.get_nested_transaction() or session.get_transaction()
    assert transaction is not None
    if not session.is_active:
        raise SessionError(
            "this session's transaction takes no more jobs: a flush in it has failed, or it is prepared or committed; "
            "end it first, after an error with rollback()"
        )
    return transaction


def _send(session: Session, gathered: _Gathered, *, flush: bool) -> None:
    """Flush, unless a flush is going on, decide and add, until nothing is left to add."""
    gathered.is_sending = True
    try:
        for _ in range(_MOST_ROUNDS):
            if flush:
                session.flush()
                gathered.is_flushing = False
            if not _decide(session, gathered):
                break
        else:
            raise SessionError(f"payload functions have added jobs for {_MOST_ROUNDS} rounds: let them end")
        if wanted := gathered.waiting.get(_root(session)):
            send(session, wanted)
            gathered.sent += gathered.waiting.pop(_root(session))
    finally:
        gathered.is_sending = False


def _decide(session: Session, gathered: _Gathered) -> bool:
    """Make the specs that are not made yet, and tell whether there were any: making them may add others."""
    undecided = [wanted for wanted in gathered.waiting.get(_root(session), ()) if not wanted.is_made]
    for wanted in undecided:
        wanted.decide()
    return bool(undecided)


def _root(session: Session) -> SessionTransaction:
    transaction = session.get_transaction()
    assert transaction is not None
    return transaction


def _is_flush(transaction: SessionTransaction) -> bool:
    return transaction.parent is not None and not transaction.nested


def _commit_begins(session: Session, gathered: _Gathered) -> None:
    if gathered.waiting.get(_root(session)):
        _send(session, gathered, flush=True)
    gathered.is_sent = True


@event.listens_for(Session, "before_commit")
def _before_commit(session: Session) -> None:
    gathered = session.info.setdefault(_KEY, _Gathered())
    gathered.announced += 1
    if session.get_nested_transaction() is None:
        try:
            _commit_begins(session, gathered)
        except BaseException:
            gathered.announced -= 1
            raise


@event.listens_for(Session, "before_flush")
def _before_flush(session: Session, _context: object, _instances: object) -> None:
    gathered: _Gathered | None = session.info.get(_KEY)
    if gathered is not None:
        gathered.is_flushing = True


@event.listens_for(Session, "after_flush_postexec")
def _after_flush(session: Session, _context: object) -> None:
    gathered: _Gathered | None = session.info.get(_KEY)
    if gathered is not None and gathered.is_sent:
        _send(session, gathered, flush=False)


def _flush_ends(session: Session, gathered: _Gathered) -> None:
    gathered.is_flushing = False
    if gathered.is_sent and session.is_active:  # what other listeners of after_flush_postexec have added
        _send(session, gathered, flush=False)


@event.listens_for(Session, "after_commit", insert=True)  # before those of others, which may raise
def _after_commit(session: Session) -> None:
    gathered: _Gathered | None = session.info.get(_KEY)
    if gathered is None:
        return
    gathered.announced = max(0, gathered.announced - 1)
    nested = session.get_nested_transaction()
    if nested is None:
        for wanted in gathered.sent:
            if wanted.row is not None:
                wanted.handle.added(wanted.row)
        gathered.sent = []
        return
    gathered.released = nested
    around = nested.parent
    while around is not None and _is_flush(around):
        around = around.parent
    if around is not None and nested in gathered.waiting:
        gathered.waiting.setdefault(around, []).extend(gathered.waiting.pop(nested))


@event.listens_for(Session, "after_transaction_end")
def _after_end(session: Session, transaction: SessionTransaction) -> None:
    gathered: _Gathered | None = session.info.get(_KEY)
    if gathered is None:
        return
    if _is_flush(transaction):
        _flush_ends(session, gathered)
        return
    gathered.drop(transaction)
    if transaction.parent is None:
        for wanted in gathered.sent:
            wanted.handle.dropped()
        del session.info[_KEY]
    elif transaction is not gathered.released:
        gathered.announced = 0  # its failure ends the commits around it too
    elif gathered.announced and not gathered.is_sending and session.get_nested_transaction() is None:
        _commit_begins(session, gathered)
