"""Alembic's entry to this folder; everything is decided in gw_sqla.schema.alembic_environment."""

from gw_sqla.schema.alembic_environment import run_environment

run_environment()
