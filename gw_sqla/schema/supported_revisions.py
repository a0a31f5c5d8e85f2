"""Which revisions of the worker schema this version of gw_sqla knows: Graphile Worker's, and its own on top.

Graphile Worker's are counted in the ledger, table ``migrations``, which is shared with its versions for Node.js and for
Rust. Ids up to 19 are known here; a newer one that is not breaking is tolerated, a breaking one is refused
(`gw_sqla.schema.check`). What is gw_sqla's alone (an index, a table of workers) is counted by Alembic in its own
version table.
"""

from __future__ import annotations

__all__ = ["HEAD", "LEDGER_ID", "OLDEST_LEDGER_ID", "VERSION_TABLE"]

LEDGER_ID = 19
"""The Graphile Worker schema revision that this version creates and speaks."""
OLDEST_LEDGER_ID = 18
"""The oldest revision that can be adopted: from here to 19 there is only a marker."""
HEAD = "0014"
"""The newest of our own Alembic revisions; a test compares it with the scripts."""
VERSION_TABLE = "_private_sqla_alembic_version"
