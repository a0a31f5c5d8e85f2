"""Acting on a queue, for the command line, a dashboard and the user's own code alike."""

from __future__ import annotations

from gw_sqla.admin.cleaning import Cleaned, cleanup
from gw_sqla.admin.pausing import Pausing, SyncPausing
from gw_sqla.jobs.pause import Pause, PauseSeen

__all__ = ["Cleaned", "Pause", "PauseSeen", "Pausing", "SyncPausing", "cleanup"]
