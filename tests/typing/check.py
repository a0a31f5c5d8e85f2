"""Check good.py and bad.py with mypy and pyright, for the oldest and the newest Python: marked lines are refused,
others accepted. (Each branch on sys.version_info that a Python between them takes is taken by one of the two.)

Run from the project's root by ``nox -s types``; exits with 1 and a list of what is otherwise.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
FILES = ["good.py", "bad.py"]
PYTHONS = ["3.11", "3.14"]
Place = tuple[str, int]


def marked() -> set[Place]:
    """Return the lines that must be refused."""
    return {
        (name, number)
        for name in FILES
        for number, line in enumerate((HERE / name).read_text().splitlines(), 1)
        if "# error:" in line
    }


def refused_by_mypy(python: str) -> dict[Place, str]:
    """Return the lines that mypy refuses, each with its message."""
    files = [str(HERE / name) for name in FILES]
    command = [sys.executable, "-m", "mypy", "--strict", "--no-error-summary", "--python-version", python, *files]
    output = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    found = re.findall(r"^.*?([^/\\\n]+\.py):(\d+): error: (.*)$", output, re.MULTILINE)
    return {(name, int(number)): message for name, number, message in found}


def refused_by_pyright(python: str) -> dict[Place, str]:
    """Return the lines that pyright refuses, each with its message."""
    command = [sys.executable, "-m", "pyright", "--outputjson", "--project", str(HERE), "--pythonversion", python]
    output = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    return {
        (Path(item["file"]).name, item["range"]["start"]["line"] + 1): item["message"].splitlines()[0]
        for item in json.loads(output)["generalDiagnostics"]
        if item["severity"] == "error"
    }


def main() -> int:
    """Compare, print what differs, return the exit code."""
    expected = marked()
    faults = []
    for python in PYTHONS:
        for checker, refused in (("mypy", refused_by_mypy(python)), ("pyright", refused_by_pyright(python))):
            who = f"{checker} for Python {python}"
            faults += [f"{name}:{line}: {who} accepts it" for name, line in sorted(expected - refused.keys())]
            faults += [
                f"{name}:{line}: {who} refuses it: {refused[name, line]}"
                for name, line in sorted(refused.keys() - expected)
            ]
    print("\n".join(faults) or f"mypy and pyright refuse the {len(expected)} marked lines and no other")
    return 1 if faults or not expected else 0


if __name__ == "__main__":
    sys.exit(main())
