"""Checks of the server: what it is, its clock, its connections, what holds it up."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from gw_sqla.health.finding import Finding, Verdict, sql_text
from gw_sqla.health.look import Look
from gw_sqla.statements import health

__all__ = ["connections", "oldest_transaction", "server"]

_OLDEST_SERVER = 13
_ROUND_TRIPS = 3
_SLOW_TRIP = timedelta(milliseconds=50)
_SKEW_WARNED, _SKEW_WRONG = 2.0, 30.0
"""Seconds: cron ticks by the clock of the worker's machine, to the minute."""
_FEW_LEFT, _NONE_LEFT = 10, 5
"""A worker takes four connections of its own, one more for cron, and its handlers' sessions come on top."""
_LONG, _TOO_LONG = 600.0, 3600.0
"""Seconds of a transaction, in which jobs that are done stay in the way of every claim."""


def server(look: Look) -> Iterator[Finding]:
    """Version, encoding, whether it can be written to, its clock, how far away it is, its notifications."""
    seen, trip, skew = _asked(look)
    look.now = seen.now
    milliseconds = trip.total_seconds() * 1000
    far = trip > _SLOW_TRIP
    yield Finding(
        "connection",
        Verdict.WARNING if far else Verdict.OK,
        f"a round trip takes {milliseconds:.1f} ms",
        round(milliseconds, 3),
        "run workers near the database: each claim and each batch of outcomes takes a round trip" if far else None,
    )
    old = seen.version_num < _OLDEST_SERVER * 10_000
    yield Finding(
        "version",
        Verdict.WRONG if old else Verdict.OK,
        f"PostgreSQL {seen.version}",
        seen.version_num,
        f"upgrade PostgreSQL: gw_sqla needs {_OLDEST_SERVER} or later" if old else None,
    )
    odd = seen.encoding != "UTF8"
    yield Finding(
        "encoding",
        Verdict.WARNING if odd else Verdict.OK,
        f"{seen.encoding}" + (", which does not hold all that payloads and errors may be made of" if odd else ""),
        repair="move to a database made with: createdb --encoding UTF8 --template template0 NAME" if odd else None,
    )
    yield _writable(seen)
    yield _clock(skew, trip)
    yield _notifications(seen.notify_usage)


def _asked(look: Look) -> tuple[Any, timedelta, float]:
    """Ask a few times: the quickest answer says most of the way, and of the clock."""
    best: tuple[Any, timedelta, float] | None = None
    for _ in range(_ROUND_TRIPS):
        before, began = datetime.now(UTC), time.perf_counter()
        seen = look.row(health.server(look.schema))
        trip = timedelta(seconds=time.perf_counter() - began)
        if best is None or trip < best[1]:
            best = seen, trip, (seen.now - (before + trip / 2)).total_seconds()
    assert best is not None
    return best


def _writable(seen: Any) -> Finding:
    if seen.in_recovery:
        text, repair = "it is a standby, on which nothing can be written", "give the URL of the primary server"
    elif seen.read_only:
        text = "sessions begin read only"
        repair = "set default_transaction_read_only to off: alter role or alter database ... reset"
    else:
        return Finding("writable", Verdict.OK, "it can be written to")
    return Finding("writable", Verdict.WRONG, text, repair=repair)


def _clock(skew: float, trip: timedelta) -> Finding:
    away = max(0.0, abs(skew) - trip.total_seconds() / 2)
    verdict = Verdict.WRONG if away > _SKEW_WRONG else Verdict.WARNING if away > _SKEW_WARNED else Verdict.OK
    text = f"the database's clock is {abs(skew):.2f} s {'ahead of' if skew > 0 else 'behind'} this machine's"
    repair = "have both set by NTP: crontabs go by the clock of the worker's machine"
    return Finding("clock", verdict, text, round(skew, 3), None if verdict is Verdict.OK else repair)


def _notifications(usage: float) -> Finding:
    full = usage > 0.5
    return Finding(
        "notifications",
        Verdict.WRONG if full else Verdict.WARNING if usage > 0.1 else Verdict.OK,
        f"their queue is {usage:.1%} full",
        usage,
        "end the session that listens in a transaction that does not end, as the oldest transaction; when the queue "
        "is full, no job can be added"
        if usage > 0.1
        else None,
    )


def connections(look: Look) -> Iterator[Finding]:
    """How many more can be made, by whichever limit is nearest."""
    limits = [row for row in look.rows(health.connections(look.schema)) if row.most >= 0]
    nearest = min(limits, key=lambda row: row.most - (row.used or 0))
    left = max(0, nearest.most - (nearest.used or 0))
    verdict = Verdict.WRONG if left < _NONE_LEFT else Verdict.WARNING if left < _FEW_LEFT else Verdict.OK
    repair = {
        "server": "alter system set max_connections = ..., and restart; or a pooler; or fewer and smaller pools",
        "database": "alter database ... connection limit ...",
        "role": "alter role ... connection limit ...",
    }[nearest.name]
    text = f"{left} left of {nearest.most} of the {nearest.name}; a worker takes four, and its handlers' sessions"
    yield Finding("connections", verdict, text, left, None if verdict is Verdict.OK else repair)


def oldest_transaction(look: Look) -> Iterator[Finding]:
    """Who holds back vacuum, so that claims wade through what is done."""
    seen = look.row(health.transactions(look.schema))
    hidden = f"; {seen.hidden} sessions are hidden from this role" if seen.hidden else ""
    if seen.seconds is None or seen.seconds < _LONG:
        text = f"the oldest is {seen.seconds:.0f} s old" if seen.seconds is not None else "none is open"
        yield Finding(
            "transactions",
            Verdict.UNKNOWN if hidden else Verdict.OK,
            text + hidden,
            seen.seconds,
            "grant pg_read_all_stats to the role" if hidden else None,
        )
        return
    if seen.gid is not None:
        text = f"the prepared transaction {seen.gid!r} is {seen.seconds:.0f} s old"
        repair = f"rollback prepared {sql_text(seen.gid)};"
    else:
        text = f"process {seen.pid} ({seen.application or 'unnamed'}, {seen.state}) is in one for {seen.seconds:.0f} s"
        repair = f"select pg_terminate_backend({seen.pid});"
    verdict = Verdict.WRONG if seen.seconds > _TOO_LONG else Verdict.WARNING
    yield Finding("transactions", verdict, text + hidden, seen.seconds, repair)
