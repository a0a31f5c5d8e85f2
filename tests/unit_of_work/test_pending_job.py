"""What a PendingJob says, when something else goes wrong, or when the session's commit is not the last word."""

from __future__ import annotations

import subprocess
import sys

from sqlalchemy import create_engine, make_url
from sqlalchemy.orm import Session

from gw_sqla import SyncJobRepository

PROGRAM = """
import sys
from sqlalchemy import create_engine, event
from sqlalchemy.orm import Session

@event.listens_for(Session, "after_commit")
def theirs(session):
    raise RuntimeError("theirs")

from gw_sqla import SyncJobRepository

session = Session(create_engine(sys.argv[1]))
job = SyncJobRepository().add_job_on_commit(session, "a")
try:
    session.commit()
except RuntimeError as error:
    print(error, repr(job), job.is_added, job.job.task_identifier)
session.close()
print(repr(job))
"""


def test_a_listener_of_the_commit_that_was_there_before_raises(clean_database: str) -> None:
    url = make_url(clean_database).set(drivername="postgresql+psycopg2").render_as_string(hide_password=False)
    done = subprocess.run([sys.executable, "-c", PROGRAM, url], capture_output=True, text=True, check=False)
    assert done.stdout == "theirs <PendingJob added> True a\n<PendingJob added>\n", done.stderr


def test_in_a_transaction_from_outside(clean_database: str) -> None:
    """It goes by the session's commit; the docstring says what that is worth here."""
    engine = create_engine(make_url(clean_database).set(drivername="postgresql+psycopg2"))
    with engine.connect() as connection:
        outer = connection.begin()
        with Session(connection, join_transaction_mode="create_savepoint") as session:
            job = SyncJobRepository().add_job_on_commit(session, "a")
            session.commit()
        assert job.is_added
        outer.rollback()
    assert job.is_added
    with Session(engine) as session:
        assert SyncJobRepository().list_jobs(session) == []
    engine.dispose()
