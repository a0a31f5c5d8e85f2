"""The queue's schema as a labelled branch in the application's environment, with psycopg.

    pip install . 'psycopg[binary]'   # in a clone of the repository
    export DATABASE_URL=postgresql://localhost/mydb
    cd examples/alembic_branch
    alembic upgrade heads             # both branches; gw_sqla@head is the queue alone

``version_locations`` in alembic.ini adds the branch. With two branches, ``alembic revision`` wants to know which one
to continue: ``--head orders@head``. An upgrade of gw_sqla brings its new revisions with it.
"""

from __future__ import annotations

import os

import sqlalchemy as sa
from alembic import context
from models import Base

from gw_sqla.operations import include_object  # also gives op its operations


def run(connection: sa.Connection | None = None) -> None:
    context.configure(
        connection=connection,
        dialect_name=None if connection else "postgresql",  # offline: alembic upgrade head --sql
        target_metadata=Base.metadata,
        include_schemas=True,
        include_object=include_object,
    )
    with context.begin_transaction():
        context.run_migrations()


if context.is_offline_mode():
    run()
else:
    url = sa.make_url(os.environ["DATABASE_URL"]).set(drivername="postgresql+psycopg")
    with sa.create_engine(url, poolclass=sa.NullPool).connect() as connection:
        run(connection)
