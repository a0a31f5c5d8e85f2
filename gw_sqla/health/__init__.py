"""What may be wrong with a queue and its database: checks, each with a verdict, its number and what repairs it.

Used by the command ``doctor``. Looking changes nothing, but that one notification is sent on a channel of its own.
"""

from __future__ import annotations

from gw_sqla.health.examination import examine
from gw_sqla.health.finding import Finding, Verdict

__all__ = ["Finding", "Verdict", "examine"]
