"""The threads of the driver's loops on trio."""

from __future__ import annotations

import threading

__all__ = ["threads"]


def threads() -> list[threading.Thread]:
    """Return those that are there now."""
    return [thread for thread in threading.enumerate() if thread.name == "gw_sqla asyncio loop"]
