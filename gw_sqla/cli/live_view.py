"""The live view of ``top``: asks every few seconds, and acts where a key says so. Needs the extra ``top``.

It goes on through faults of the database, and says them in its second line: whoever watches an incident watches that.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import ClassVar

import asyncpg
from rich.text import Text
from sqlalchemy.exc import SQLAlchemyError
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.screen import ModalScreen
from textual.widgets import DataTable, Footer, Static

from gw_sqla.admin import Admin, FailureGroup, Failures, JobFilter, ListedJob, Pause, Pausing, Rates, Retry
from gw_sqla.admin.chunks import Tally, act_on_all, jobs_were
from gw_sqla.cli.error_report import describe, one_line
from gw_sqla.cli.job_columns import STATE_COLORS
from gw_sqla.cli.listing import utc_text
from gw_sqla.cli.snapshot import Snapshot, look
from gw_sqla.cli.terminal_text import printable
from gw_sqla.database.session import AsyncSession, async_sessionmaker
from gw_sqla.errors import GwSqlaError
from gw_sqla.types import JobState

__all__ = ["LiveView"]

_MOST_COUNTED = 100_000
_MOST_SHOWN = 50
_FAULTS = (GwSqlaError, SQLAlchemyError, asyncpg.PostgresError, asyncpg.InterfaceError, OSError)
_RUNNING = JobFilter(states=frozenset({JobState.LOCKED}))
_HEADS = {
    "workers": ("worker", "state", "host", "pid", "slots"),
    "running": ("running job", "task", "queue", "attempt", "since", "worker"),
    "failures": ("failures", "task", "error", "last"),
}


@dataclass(frozen=True, slots=True)
class _Seen:
    snapshot: Snapshot
    running: Sequence[ListedJob]
    failures: Failures
    pauses: Sequence[Pause]


class Question(ModalScreen[bool]):
    """Asks before something is done."""

    CSS = """
    Question { align: center middle; }
    #question { width: auto; max-width: 90%; padding: 1 2; border: round red; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [("y", "answer(True)", "Yes"), ("n,escape", "answer(False)", "No")]

    def __init__(self, question: str) -> None:
        super().__init__()
        self._question = question

    def compose(self) -> ComposeResult:
        """Show the question."""
        yield Static(f"{printable(self._question)}  (y/n)", id="question", markup=False)

    def action_answer(self, is_yes: bool) -> None:
        """Take the answer."""
        self.dismiss(is_yes)


class LiveView(App[None]):
    """The application; it takes sessions that somebody else opened, and asks through them ``every`` so many seconds."""

    ENABLE_COMMAND_PALETTE = False
    CSS = "#head, #told { height: auto; } DataTable { height: 1fr; }"
    BINDINGS: ClassVar[list[BindingType]] = [
        ("r", "retry", "Retry these failures"),
        ("p", "pause", "Pause or resume their task"),
        ("f", "freeze", "Freeze"),
        ("q", "quit", "Quit"),
        Binding("ctrl+c", "quit", show=False, priority=True),  # which Textual has for copying
    ]

    def __init__(
        self, sessions: async_sessionmaker[AsyncSession], admin: Admin, every: float, actor: str | None = None
    ) -> None:
        super().__init__()
        self._sessions = sessions
        self._admin = admin
        self._every = every
        self._actor = actor
        self._before: Snapshot | None = None
        self._groups: dict[str, FailureGroup] = {}
        self._pauses: Sequence[Pause] = ()
        self._is_frozen = False

    def compose(self) -> ComposeResult:
        """Lay it out."""
        yield Static(id="head", markup=False)
        yield Static(id="told", markup=False)
        for name in _HEADS:
            yield DataTable(id=name, cursor_type="row", zebra_stripes=True)
        yield Footer()

    def on_mount(self) -> None:
        """Begin to look."""
        for name, heads in _HEADS.items():
            self._table(name).add_columns(*heads)
        self._table("failures").focus()
        self.set_interval(self._every, self._look_again)
        self._look_again()

    def _look_again(self) -> None:
        if not self._is_frozen:
            self.run_worker(self.look(), exclusive=True, group="look")

    async def look(self) -> None:
        """Ask once, and show it; a fault of the database is shown instead."""
        try:
            async with self._sessions() as session:
                seen = _Seen(
                    await look(session, self._admin, _MOST_COUNTED),
                    (await self._admin.list_jobs(session, _RUNNING, descending=True, limit=_MOST_SHOWN)).jobs,
                    await self._admin.list_failures(session, most=_MOST_SHOWN),
                    await Pausing(self._admin.schema).list_pauses(session),
                )
        except _FAULTS as error:
            self._tell(f"{one_line(describe(error)[0])}; trying again")
            return
        self._show(seen)

    def action_freeze(self) -> None:
        """Look no more, until it is asked for again."""
        self._is_frozen = not self._is_frozen
        self._tell("frozen: f goes on" if self._is_frozen else "")
        self._look_again()

    def action_retry(self) -> None:
        """Ask, and let the failures of the chosen group run again."""
        if (group := self._chosen()) is None:
            return
        given = group.filter()

        def answered(is_yes: bool | None) -> None:
            if is_yes:
                self.run_worker(self._retry(given), group="act")

        self.push_screen(Question(f"Retry {given} ({group.jobs:,} jobs)?"), answered)

    def _chosen(self) -> FailureGroup | None:
        """Return the group of failures on which the cursor is; say so where there is none that could be acted on."""
        table = self._table("failures")
        if not table.row_count:
            self._tell("there are no failures")
            return None
        key = table.coordinate_to_cell_key(table.cursor_coordinate).row_key.value
        group = self._groups.get(str(key))
        if group is None or group.task_identifier is None:
            self._tell("their task is gone: nobody could run them")
            return None
        return group

    def action_pause(self) -> None:
        """Ask, and pause the task of the chosen failures; or resume it."""
        if (group := self._chosen()) is None or (task := group.task_identifier) is None:
            return
        is_paused = any((pause.kind, pause.name) == ("task", task) for pause in self._pauses)

        def answered(is_yes: bool | None) -> None:
            if is_yes:
                self.run_worker(self._pause(task, is_paused=is_paused), group="act")

        question = f"Resume {task!r}?" if is_paused else f"Pause {task!r}, for workers of gw_sqla, until it is resumed?"
        self.push_screen(Question(question), answered)

    async def _pause(self, task: str, *, is_paused: bool) -> None:
        pausing = Pausing(self._admin.schema)
        try:
            async with self._sessions.begin() as session:
                if is_paused:
                    await pausing.resume(session, task=task, actor=self._actor)
                else:
                    await pausing.pause(session, task=task, reason="from top", actor=self._actor)
        except _FAULTS as error:
            self._tell(one_line(describe(error)[0]))
            return
        await self.look()

    async def _retry(self, given: JobFilter) -> None:
        tally = Tally("retried")
        try:
            await act_on_all(self._sessions, self._admin, Retry(), given, tally, actor=self._actor)
        except _FAULTS as error:
            self._tell(f"{tally.known}; {one_line(describe(error)[0])}")
            return
        self._tell(f"{jobs_were(tally.changed)} retried")
        await self.look()

    def _show(self, seen: _Seen) -> None:
        now = seen.snapshot.turnover.since(self._before.turnover) if self._before else None
        self._before, self._pauses = seen.snapshot, seen.pauses
        self.query_one("#head", Static).update(_head(seen.snapshot, now, seen.pauses))
        if not self._is_frozen:
            self._tell("")
        self._fill(
            "workers",
            (
                (worker.pool_id, (worker.pool_id, _alive(worker.is_alive), worker.host, worker.pid, worker.concurrency))
                for worker in sorted(seen.snapshot.workers, key=lambda each: each.is_alive)
            ),
        )
        self._fill(
            "running",
            (
                (
                    str(job.id),
                    (job.id, job.task_identifier, job.queue_name, job.attempts, utc_text(job.locked_at), job.locked_by),
                )
                for job in seen.running
            ),
        )
        self._groups = {f"{group.task_identifier}\n{group.error}": group for group in seen.failures.groups}
        self._fill(
            "failures",
            (
                (key, (f"{group.jobs:,}", group.task_identifier, group.error, utc_text(group.last)))
                for key, group in self._groups.items()
            ),
        )

    def _fill(self, name: str, rows: Iterable[tuple[str, tuple[object, ...]]]) -> None:
        """Replace the rows; the cursor stays on the row that it is on, or near."""
        table = self._table(name)
        at = table.cursor_row
        chosen = table.coordinate_to_cell_key(table.cursor_coordinate).row_key if table.row_count else None
        table.clear()
        for key, cells in rows:
            table.add_row(*map(_cell, cells), key=key)
        if chosen is not None and chosen in table.rows:
            at = table.get_row_index(chosen)
        table.move_cursor(row=min(at, max(0, table.row_count - 1)))

    def _table(self, name: str) -> DataTable[Text]:
        return self.query_one(f"#{name}", DataTable)

    def _tell(self, text: str) -> None:
        self.query_one("#told", Static).update(Text(printable(text), style="yellow"))


def _head(seen: Snapshot, now: Rates | None, pauses: Sequence[Pause]) -> Text:
    parts = [
        Text(f"{state} {count}", style=STATE_COLORS.get(state, "") if count.number else "dim")
        for state, count in seen.states.items()
    ]
    parts.append(Text(f"workers {len(seen.alive)}, slots {seen.slots}"))
    if now is not None:
        parts.append(Text(f"a second: {now.added:,.1f} added, {now.gone:,.1f} gone"))
    parts += [Text(f"paused: {printable(str(pause))}", style="magenta") for pause in pauses]
    return Text("   ").join(parts)


def _alive(is_alive: bool) -> Text:
    return Text("alive", style="green") if is_alive else Text("dead", style="red")


def _cell(value: object) -> Text:
    return value if isinstance(value, Text) else Text("-" if value is None else printable(str(value)))
