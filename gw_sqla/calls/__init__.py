"""What each method of a repository checks, asks the database, and reads of the answer, for every kind of session.

Plain functions of a Session and the schema's name, written once: `gw_sqla.SyncJobRepository` calls them, and
`gw_sqla.JobRepository` lets an AsyncSession run them, by ``run_sync``, as SQLAlchemy itself does with all that an
AsyncSession can do. Jobs that go with a commit are sent by them too (`gw_sqla.unit_of_work.sending`).

Rejected: generators that yield statements and know no session. Nothing but a Session ever ran them.
"""
