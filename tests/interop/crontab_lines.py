"""Random schedules and lines, most of them such as people write, some of them broken."""

from __future__ import annotations

from random import Random

_RANGES = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 7))


def random_schedule(random: Random) -> str:
    """Return five fields in the peers' grammar."""
    return " ".join(_field(random, *ends) for ends in _RANGES)


def _field(random: Random, least: int, most: int) -> str:
    if random.random() < 0.4:
        return "*"
    return ",".join(_part(random, least, most) for _ in range(random.choice([1, 1, 1, 2, 3])))


def _part(random: Random, least: int, most: int) -> str:
    kind = random.random()
    if kind < 0.35:
        return str(random.randint(least, most))
    if kind < 0.4:
        return f"0{random.randint(least, most)}"
    if kind < 0.7:
        low, high = sorted(random.sample(range(least, most + 1), 2))
        return f"{low}-{high}"
    if kind < 0.95:
        return f"*/{random.choice([1, 2, 3, 5, 7, 10, 15, 20, 30, 40, 100])}"
    return "*"


_VALUES = {
    "id": ["a", "_B-9", "9", "a.b", "", "a%5F"],
    "fill": ["1d", "1w2d3h4m5s", "90s", "1d1d", "0m", "1y", "d", "", "007h"],
    "max": ["1", "25", "007", "0", "-1", "x", "99999", ""],
    "queue": ["q", "a:b_c-9", "a.b", "", "q%3Aq"],
    "jobKey": ["k", "a%20b+c", "%C3%A4", "a=b", "", "%", "%zz", "k%26"],
    "jobKeyMode": ["replace", "preserve_run_at", "unsafe_dedupe", ""],
    "priority": ["0", "-7", "+7", "00012", "99999", "x", "1.5"],
    "other": ["1"],
    "tz": ["UTC"],
}

_PAYLOADS = [
    "{}", '{"a": 1}', "{a: 'b'}", "{a: [1, 2,], /* c */ b: null}", '{"a": {"b": "}"}}', "{a: 0x1F, b: .5, c: +1}",
    '{"ä": "\\u00e4"}', "{a: 'it\\'s'}",
    '{"a": 1, "a": 2}', "{", "{a}", "{a: }", "[1]", "{} {}", "{} x", "'a'", "{a: 1}}",
]  # fmt: skip

_TASKS = ["a", "_", "send_email", "ns:task/sub-1", "A9", "9a", "a.b", "-a", "ä", "?id=x"]


def random_line(random: Random) -> str:
    """Return a line; about a third of them are broken somewhere."""
    gap = random.choice([" ", " ", "  ", "\t", " \t "])
    parts = [random_schedule(random).replace(" ", gap)]
    if random.random() < 0.08:
        parts = [_spoilt(random, parts[0])]
    parts.append(random.choice(_TASKS[:5]) if random.random() < 0.95 else random.choice(_TASKS))
    if random.random() < 0.6:
        parts.append("?" + "&".join(_option(random) for _ in range(random.choice([1, 1, 2, 3]))))
    if random.random() < 0.4:
        parts.append(random.choice(_PAYLOADS[:9]) if random.random() < 0.8 else random.choice(_PAYLOADS))
    return random.choice(["", "", "  "]) + gap.join(parts) + random.choice(["", "", " "])


def _option(random: Random) -> str:
    key = random.choice(list(_VALUES)[:7]) if random.random() < 0.97 else random.choice(list(_VALUES))
    value = random.choice(_VALUES[key][:3]) if random.random() < 0.85 else random.choice(_VALUES[key])
    return random.choice([key, key, key.replace("i", "%69")]) + "=" + value


def _spoilt(random: Random, schedule: str) -> str:
    at = random.randrange(len(schedule))
    return schedule[:at] + random.choice(["", "0", "9", "-", "/", ",", "*", "x", "?", "."]) + schedule[at + 1 :]
