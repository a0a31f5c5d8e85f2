"""The text of a crontab: what it means, and what is said of its faults."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gw_sqla import ConfigurationError, CronItem, CrontabError, JobKeyMode, parse_crontab, read_crontab
from gw_sqla.crontab import scan_crontab

CRONTAB = """\
# comments, blank lines

  # and comments that are indented
0 4 * * * clean_up
*/5\t0-6,22,23   1,15 */2 0,7 ns:sub/task-1_b ?id=second&fill=1w2d3h4m5s&max=3&queue=a:b&priority=-7 {"a": [1, 2]}
0 0 * * * keyed ?jobKey=a%20key+%26&jobKeyMode=preserve_run_at
0 0 * * * rust ?job_key=k&job_key_mode=replace&
0 0 1 1 * json5 {a: 'b', c: +1, d: [.5, 0xF,], /* x */}
"""


def test_what_lines_mean() -> None:
    assert parse_crontab(CRONTAB) == [
        CronItem("clean_up", "0 4 * * *"),
        CronItem(
            "ns:sub/task-1_b",
            "*/5 0-6,22,23 1,15 */2 0,7",
            id="second",
            fill=timedelta(days=9, hours=3, minutes=4, seconds=5),
            max_attempts=3,
            queue_name="a:b",
            priority=-7,
            payload={"a": [1, 2]},
        ),
        CronItem("keyed", "0 0 * * *", job_key="a key &", job_key_mode=JobKeyMode.PRESERVE_RUN_AT),
        CronItem("rust", "0 0 * * *", job_key="k", job_key_mode=JobKeyMode.REPLACE),
        CronItem("json5", "0 0 1 1 *", payload={"a": "b", "c": 1, "d": [0.5, 15]}),
    ]


def test_lines_of_windows_and_a_byte_order_mark(tmp_path: Path) -> None:
    file = tmp_path / "crontab"
    file.write_bytes(b"\xef\xbb\xbf0 4 * * * a\r\n\r\n0 5 * * * b")
    assert [item.task for item in read_crontab(file)] == ["a", "b"]


def test_the_faults_of_all_lines_at_once() -> None:
    text = "0 4 * * * ok\n61 4 * * * a ?max=x\n  0 4 * * *\n0 4 * * * ok\n0 4 * * * b {"
    with pytest.raises(CrontabError, match=r"^crontab: line 2, column 1: ") as caught:
        parse_crontab(text)
    found = [(problem.line, problem.column) for problem in caught.value.problems]
    assert found == [(2, 1), (2, 15), (3, 3), (4, 1), (5, 14)]


@pytest.mark.parametrize(
    ("line", "column", "text"),
    [
        ("60 * * * * a", 1, "minute: 60 is not one of 0 to 59"),
        ("* 24 * * * a", 3, "hour: 24 is not one of 0 to 23"),
        ("* * 0 * * a", 5, "day of month: 0 is not one of 1 to 31"),
        ("* * * 13 * a", 7, "month: 13 is not one of 1 to 12"),
        ("* * * * 8 a", 9, "day of week: 8 is not one of 0 to 7"),
        ("1,2,99999999999999999999 * * * * a", 5, "minute: 99999999999999999999 is not one of 0 to 59"),
        ("1,,2 * * * * a", 3, "minute: a comma has nothing on one side"),
        ("* 22-4 * * * a", 3, "hour: 22-4 does not go upwards: write 22-23,0-4"),
        ("* 4-4 * * * a", 3, "hour: 4-4 does not go upwards: write 4"),
        ("* * * * fri-mon a", 9, "day of week: fri-mon does not go upwards: write 5-6,0-1"),
        ("*/0 * * * * a", 1, "minute: */0: the step must be 1 or more"),
        ("5/15 * * * * a", 1, "minute: 5/15: a step needs a range: write 5-59/15"),
        ("* * * mai * a", 7, "month: 'mai' is not a number; its names are jan, feb"),
        ("* noon * * * a", 3, "hour: 'noon' is not a number; its names are none"),
        ("* ? * * * a", 3, "hour: '?' is not a number, a-b, *, */n or a-b/n"),
        ("-5 * * * * a", 1, "minute: '-5' is not a number, a-b"),
        ("٣ * * * * a", 1, "minute: '٣' is not a number, a-b"),
        ("@reboot a", 1, "@reboot is not known: write five fields, or one of @yearly"),
        ("@daily", 1, "a line is five fields and a task"),
        ("* * * * *", 1, "a line is five fields and a task"),
        ("* * * * * 9a", 11, "the task '9a' must be letters"),
        ("* * * * * a.b", 11, "the task 'a.b' must be letters"),
        (f"* * * * * {'a' * 129}", 11, "the task must have 1 to 128 characters, has 129"),
        ("* * * * * a b", 13, "'b' is neither ?options nor a {payload}: remove it"),
        ("* * * * * a ?id=x ?max=1", 19, "'?max=1' is neither ?options nor a {payload}"),
        ("* * * * * a ?", 13, "no options follow the question mark"),
        ("* * * * * a ?id=x&ID=y", 19, "there is no option 'ID': the options are id, fill"),
        ("* * * * * a ?id=x&id=y", 19, "id is given twice"),
        ("* * * * * a ?jobKey=x&job_key=y", 23, "job_key is given twice"),
        ("* * * * * a ?id=7", 14, "id: '7' must be a name"),
        ("* * * * * a ?id", 14, "id: '' must be a name"),
        ("* * * * * a ?fill=1y", 14, "fill: '1y' must be a duration such as 1w2d3h4m5s"),
        ("* * * * * a ?fill=99999999999w", 14, "fill: must be 0 to 36525 days"),
        ("* * * * * a ?max=0", 14, "max: must be 1 to 32767, is 0"),
        ("* * * * * a ?max=-1", 14, "max: '-1' must be a number of attempts"),
        ("* * * * * a ?queue=a.b", 14, "queue: 'a.b' must be a name"),
        ("* * * * * a ?jobKey=", 14, "jobKey: must have 1 to 512 characters"),
        ("* * * * * a ?jobKey=a%00", 14, "jobKey: has a NUL character"),
        ("* * * * * a ?jobKey=k&jobKeyMode=unsafe_dedupe", 23, "jobKeyMode: 'unsafe_dedupe' must be replace or"),
        ("* * * * * a ?priority=40000", 14, "priority: must be -32768 to 32767"),
        ("* * * * * a ?tz=Mars/Olympus", 14, "tz: 'Mars/Olympus' is not a time zone of this machine"),
        ("* * * * * a ?flags=a,,b", 14, "flags: 'a,,b' must be names"),
        ("* * * * * a {b", 15, "the payload is not a JSON5 object on one line: Unexpected end of input"),
        ("* * * * * a {b: NaN}", 13, "the payload is not JSON: "),
        ('* * * * * a {b: "\\u0000"}', 13, "the payload has a NUL character"),
        ("* * * * * a {} b", 16, "the payload is not a JSON5 object on one line"),
        (f"* * * * * a {{b: {'[' * 100_000}}}", 13, "the payload is nested too deeply"),
    ],
)
def test_a_fault(line: str, column: int, text: str) -> None:
    with pytest.raises(CrontabError) as caught:
        parse_crontab(f"# first\n  {line}")
    [problem] = caught.value.problems
    assert (problem.line, problem.column) == (2, column + 2), problem
    assert problem.text.startswith(text), problem
    assert str(problem) == f"line 2, column {column + 2}: {problem.text}"


@pytest.mark.parametrize(
    ("line", "same", "column", "text"),
    [
        ("* * * jan-mar,DEC * a", "* * * 1-3,12 * a", 7, "Node.js does not understand jan-mar: write 1,2,3"),
        ("* * * * fri-sun a", "* * * * 0,5,6 a", 9, "Node.js does not understand fri-sun: write 5,6,7"),
        ("5-59/15 * * * * a", "5,20,35,50 * * * * a", 1, "Node.js does not understand 5-59/15: write 5,20,35,50"),
        ("@hourly a", "0 * * * * a", 1, "Node.js does not understand @hourly: write 0 * * * *"),
        ("@MONTHLY a", "0 0 1 * * a", 1, "Node.js does not understand @MONTHLY: write 0 0 1 * *"),
        ("* * * * * a ?job_key=k", "* * * * * a", 14, "Node.js does not have the option job_key"),
        ("* * * * * a ?flags=b", "* * * * * a", 14, "Node.js does not have the option flags"),
        ("* * * * * a ?jobKeyMode=replace", "* * * * * a", 14, "the mode has no effect without jobKey"),
        ("0 0 31 2,4 * a", "0 0 31 2,4 * a", 1, "this never fires"),
    ],
)
def test_a_warning_marks_what_works_and_may_surprise(line: str, same: str, column: int, text: str) -> None:
    reading = scan_crontab(line)
    assert reading.errors == []
    problem = reading.problems[0]
    assert (problem.is_warning, problem.column) == (True, column)
    assert text in problem.text
    [item], [plain] = reading.items, parse_crontab(same)
    assert item._calendar == plain._calendar


@settings(max_examples=200, deadline=None)
@given(
    st.text()
    | st.from_regex(
        r"([0-9a-z*/,@-]{1,6} ){5}[a-z]+( \?[a-zA-Z]+=[a-z0-9%&=]*)?( \{[a-z\[\]:'\"0-9,{}\\]*\})?", fullmatch=True
    )
)
def test_any_text_is_read_or_its_faults_are_named(text: str) -> None:
    reading = scan_crontab(text)
    assert reading.errors or parse_crontab(text) == reading.items
    assert all(problem.line >= 1 and problem.column >= 1 for problem in reading.problems)


def test_what_only_python_can_say_is_read_from_options_too() -> None:
    [item] = parse_crontab("0 4 * * * a ?tz=America/New_York&flags=b,c%2Cd")
    assert (item.tz, item.flags) == ("America/New_York", ("b", "c,d"))


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="there is no such file"):
        read_crontab(tmp_path / "none")
    with pytest.raises(ConfigurationError, match="cannot be read: Is a directory"):
        read_crontab(tmp_path)
    (tmp_path / "latin").write_bytes(b"# \xe4")
    with pytest.raises(ConfigurationError, match=r"is not UTF-8: .* at byte 2"):
        read_crontab(tmp_path / "latin")
    (tmp_path / "bad").write_text("* * * * a")
    with pytest.raises(CrontabError, match=r"bad: line 1, column 1: "):
        read_crontab(tmp_path / "bad")
