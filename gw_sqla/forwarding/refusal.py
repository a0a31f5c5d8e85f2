"""What a broker says of one message that it does not take."""

from __future__ import annotations

__all__ = ["RefusedError"]


class RefusedError(Exception):
    """The other side has refused a message; the text is its own, without what it quotes."""
