"""Which files of a folder are tasks, and under which identifiers; each fault names its file."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from gw_sqla import ConfigurationError, TaskRegistry, load_executable_tasks
from gw_sqla.execution.executable_files import executable_files
from gw_sqla.execution.executable_tasks import executable_of


def executable(path: Path, text: str = "#!/bin/sh\n") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)
    return path


def test_folders_and_extensions(tmp_path: Path) -> None:
    """As Graphile Worker names them; a link is the file that it leads to."""
    folder = tmp_path / "tasks"
    send = executable(folder / "mail" / "v2" / "send.min.py")
    plain = executable(folder / "do-it_2")
    target = executable(tmp_path / "elsewhere" / "program")
    (folder / "linked.sh").symlink_to(target)
    assert executable_files(folder) == {"do-it_2": plain, "linked": target, "mail/v2/send": send}


def test_what_is_left_out(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    kept = executable(tmp_path / "kept")
    for name in (".hidden", "a b", "send.sh~", ".git/hook", "odd folder/x"):
        executable(tmp_path / name)
    (tmp_path / "link").symlink_to(tmp_path / ".git")
    with caplog.at_level(logging.WARNING, "gw_sqla"):
        assert executable_files(tmp_path) == {"kept": kept}
    assert [record.getMessage().split(" is left out")[0] for record in caplog.records] == [
        str(tmp_path / name) for name in ("a b", "link", "odd folder", "send.sh~")
    ]


def not_executable(folder: Path) -> Path:
    path = executable(folder / "send.sh")
    path.chmod(0o644)
    return path


def broken_link(folder: Path) -> Path:
    path = folder / "gone.sh"
    path.symlink_to(folder / "nowhere")
    return path


def loop_of_links(folder: Path) -> Path:
    path = folder / "round.sh"
    path.symlink_to(path)
    return path


def twice(folder: Path) -> Path:
    executable(folder / "send.py")
    return executable(folder / "send.sh")


def pipe(folder: Path) -> Path:
    path = folder / "pipe"
    os.mkfifo(path)
    return path


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (not_executable, "{path} may not be executed: chmod +x it"),
        (broken_link, "{path} is a link that leads nowhere ({folder}/nowhere)"),
        (loop_of_links, "{path} is a link that leads nowhere"),
        (twice, "{folder}/send.py and {path} are both the task 'send': rename one"),
        (pipe, "{path} is no file"),
    ],
)
def test_faults(tmp_path: Path, make: Callable[[Path], Path], says: str) -> None:
    executable(tmp_path / "good")
    path = make(tmp_path)
    with pytest.raises(ConfigurationError) as caught:
        load_executable_tasks(tmp_path)
    assert str(caught.value).startswith(f"tasks folder {tmp_path}: ")
    assert says.format(path=path, folder=tmp_path) in str(caught.value)


def test_no_folder(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="there is no such folder"):
        load_executable_tasks(tmp_path / "none")
    with pytest.raises(ConfigurationError, match="is no folder"):
        load_executable_tasks(executable(tmp_path / "file"))
    (tmp_path / "empty").mkdir()
    with pytest.raises(ConfigurationError, match="has no executable files"):
        load_executable_tasks(tmp_path / "empty")


@pytest.mark.parametrize(
    "options", [{"timeout": 5}, {"timeout": timedelta(0)}, {"kill_delay": None}, {"kill_delay": timedelta(seconds=-1)}]
)
def test_bad_options(tmp_path: Path, options: dict[str, Any]) -> None:
    executable(tmp_path / "task")
    [name] = options
    with pytest.raises(ConfigurationError, match=f"^{name}: must be a timedelta"):
        load_executable_tasks(tmp_path, **options)


def test_they_go_with_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A relative folder is that of now, wherever the program goes."""
    path = executable(tmp_path / "tasks" / "send.sh")
    monkeypatch.chdir(tmp_path)
    tasks = TaskRegistry()
    tasks.task("other")(lambda: None)
    tasks.include(load_executable_tasks("tasks"))
    assert set(tasks) == {"other", "send"}
    assert executable_of(tasks["send"]).path == path
    assert tasks["send"].spec({"any": "thing"}).payload == {"any": "thing"}
