"""Alembic's entry to this folder; everything is decided in gw_sqla.schema.migrations."""

from gw_sqla.schema.migrations import run_environment

run_environment()
