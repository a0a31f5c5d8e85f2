"""Style, scripts and their versions: browsers keep them for a year, for a file that changes has another address."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from pathlib import Path
from typing import Any

from starlette.responses import Response
from starlette.staticfiles import StaticFiles

__all__ = ["STATIC", "ImmutableFiles", "version_of"]

STATIC = Path(__file__).parent / "static"


class ImmutableFiles(StaticFiles):
    """Files of the package, for everybody: there is nothing in them that is not public."""

    def file_response(self, *args: Any, **kwargs: Any) -> Response:
        response = super().file_response(*args, **kwargs)
        response.headers["Cache-Control"] = "public, max-age=31536000, immutable"
        return response


@lru_cache
def version_of(name: str) -> str:
    """Return what changes with the file of this name."""
    return hashlib.sha256((STATIC / name).read_bytes()).hexdigest()[:12]
