"""``python -m gw_sqla``: the command line."""

from __future__ import annotations

import sys

from gw_sqla.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
