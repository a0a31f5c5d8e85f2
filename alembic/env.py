"""Alembic's entry to this folder; everything is decided in gw_sqla.migrations."""

from gw_sqla.migrations import run_environment

run_environment()
