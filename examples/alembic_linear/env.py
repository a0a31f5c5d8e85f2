"""The queue's schema as a step of the application's own history, with psycopg.

    pip install . 'psycopg[binary]'   # in a clone of the repository
    export DATABASE_URL=postgresql://localhost/mydb
    cd examples/alembic_linear
    alembic upgrade head

``versions/orders_02_queue.py`` was written by ``python -m gw_sqla revision``. It is pinned to a revision of gw_sqla:
whoever replays this history years later gets the same schema. After each upgrade of gw_sqla the command wrote the next:
``orders_04_queue.py`` and ``orders_05_queue.py``.
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
