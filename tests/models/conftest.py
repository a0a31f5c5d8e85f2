"""The models are read in the same two schemas as the repository's tests use."""

from __future__ import annotations

from tests.repository.conftest import clean_database, look, repo, schema, template

__all__ = ["clean_database", "look", "repo", "schema", "template"]
