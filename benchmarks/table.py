"""``python -m benchmarks.table REPORT.json``: the aims of a report as a table in Markdown, for the docs."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

__all__ = ["render"]


def render(report: dict[str, Any]) -> str:
    """Return what was measured on what, and a row for each aim."""
    machine = report["machine"]
    facts = ", ".join(f"{name} {value}" for name, value in machine.items() if name != "load_before")
    lines = [
        f"{facts}; medians of {report['runs']} runs.",
        "",
        "| measure | ratio | aim | reached |",
        "|---|---|---|---|",
    ]
    for name, measure in report["measures"].items():
        for aim, seen in measure["aims"].items():
            bound = f"≥ {seen['at_least']}" if "at_least" in seen else f"≤ {seen['at_most']}"
            lines.append(f"| {name}: {aim} | {seen['ratio']} | {bound} | {'yes' if seen['reached'] else '**no**'} |")
    lines += ["", "| contender | jobs/s |", "|---|---|"]
    for name, measure in report["measures"].items():
        lines += [f"| {name}: {contender} | {rate:,} |" for contender, rate in _rates(measure["details"])]
    return "\n".join(lines)


def _rates(details: dict[str, Any], within: str = "") -> list[tuple[str, int]]:
    """The rates in a measure's details, which may be grouped."""
    found = []
    for name, value in details.items():
        if isinstance(value, dict) and "jobs_per_second" in value:
            found.append((within + name, value["jobs_per_second"]))
        elif isinstance(value, dict):
            found += _rates(value, f"{within}{name}, ")
    return found


if __name__ == "__main__":
    print(render(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))))
