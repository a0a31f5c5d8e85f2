"""``completion``: its script, in the shell that it is for."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.command import error_line, run_here

PROGRAM = f"#!{sys.executable}\nimport sys\nfrom gw_sqla.cli.main import main\nsys.exit(main())\n"

ASK = {
    "bash": """
        source "$1"
        complete -p gw-sqla > /dev/null || exit 3
        for COMP_CWORD in 1 2; do
            COMPREPLY=()
            if [ $COMP_CWORD = 1 ]; then COMP_WORDS=(gw-sqla mig); else COMP_WORDS=(gw-sqla migrate --ch); fi
            _gw_sqla_completion gw-sqla
            printf '%s\\n' "${COMPREPLY[@]}"
        done
    """,
    "zsh": """
        compdef() { [ "$2" = gw-sqla ] || exit 3 }
        source "$1"
        compadd() { shift $(( $# - 1 )); print -l -- ${(P)1} }
        _describe() { print -l -- ${${(P)3}%%:*} }
        words=(gw-sqla mig) CURRENT=2
        _gw_sqla_completion
        words=(gw-sqla migrate --ch) CURRENT=3
        _gw_sqla_completion
    """,
    "fish": """
        source $argv[1]
        for line in "gw-sqla mig" "gw-sqla migrate --ch"
            complete -C $line | string split -f 1 \\t
        end
    """,
}


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_shell_completes_commands_and_options(shell: str, tmp_path: Path) -> None:
    program = shutil.which(shell)
    if program is None:
        pytest.skip(f"needs {shell}")
    script = tmp_path / "script"
    script.write_text(run_here("completion", shell).stdout)
    (tmp_path / "gw-sqla").write_text(PROGRAM)
    (tmp_path / "gw-sqla").chmod(0o755)
    quiet = {"bash": ["--norc"], "zsh": ["-f"], "fish": ["--no-config"]}[shell]
    arguments = [str(script)] if shell == "fish" else [shell, str(script)]
    done = subprocess.run(
        [program, *quiet, "-c", ASK[shell], *arguments],
        env={"PATH": f"{tmp_path}:/usr/bin:/bin", "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.split() == ["migrate", "--check"]


def test_a_shell_that_is_not_known() -> None:
    assert "'tcsh' is not one of 'bash', 'zsh', 'fish'" in error_line(run_here("completion", "tcsh"), 2)
    assert "Missing argument" in error_line(run_here("completion"), 2)
