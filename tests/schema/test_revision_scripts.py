"""The two places of the scripts, their head, and the way from one to another."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy.ext.asyncio import AsyncEngine

from gw_sqla.errors import ConfigurationError
from gw_sqla.schema import revision_scripts
from gw_sqla.schema.migrations import migrate
from gw_sqla.schema.supported_revisions import HEAD

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


REPOSITORY = Path(revision_scripts.__file__).parents[2]


async def test_scripts_of_a_wheel(
    empty_engine: AsyncEngine, empty_database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "site-packages" / "gw_sqla"
    shutil.copytree(revision_scripts.scripts_folder(), package / "_alembic")
    (package.parent / "alembic").mkdir()
    monkeypatch.setattr(revision_scripts, "__file__", str(package / "schema" / "revision_scripts.py"))
    assert revision_scripts.scripts_folder() == package / "_alembic"
    assert (await migrate(empty_engine)).action == "created"
    monkeypatch.setattr(revision_scripts, "__file__", str(tmp_path / "elsewhere" / "schema" / "revision_scripts.py"))
    with pytest.raises(ConfigurationError, match="scripts are missing"):
        revision_scripts.scripts_folder()


def test_no_package_named_alembic() -> None:
    """With one, `import alembic` in the repository would find it instead of the library."""
    assert not (REPOSITORY / "alembic" / "__init__.py").exists()


def test_head_is_the_scripts_head() -> None:
    """A worker knows the head without loading Alembic."""
    assert ScriptDirectory(str(revision_scripts.scripts_folder())).get_heads() == [HEAD]


CONTEXT = MigrationContext.configure(dialect_name="postgresql")
KNOWN = revision_scripts.known_revisions()


@pytest.mark.parametrize(
    ("heads", "revision", "way"),
    [
        ((), "head", KNOWN),
        (("0002",), "heads", KNOWN[2:]),
        (("0001",), "0003", ["0002", "0003"]),
        (("0003",), "0001", []),
        ((), "base", []),
        (("0001",), "+1", ["0002"]),
        ((), "0001+1", ["0001", "0002"]),
    ],
)
def test_way_up(heads: tuple[str, ...], revision: str, way: list[str]) -> None:
    steps = revision_scripts.upgrade_steps(revision)(heads, CONTEXT)
    assert [step.revision.revision for step in steps] == way
    assert all(step.is_upgrade for step in steps)


@pytest.mark.parametrize(
    ("heads", "revision", "way"),
    [
        (("0003",), "base", ["0003", "0002", "0001"]),
        (("0003",), "0001", ["0003", "0002"]),
        (("0003",), "0003", []),
        (("0003",), "-1", ["0003"]),
        ((), "base", []),
    ],
)
def test_way_down(heads: tuple[str, ...], revision: str, way: list[str]) -> None:
    steps = revision_scripts.downgrade_steps(revision)(heads, CONTEXT)
    assert [step.revision.revision for step in steps] == way
    assert all(step.is_downgrade for step in steps)


@pytest.mark.parametrize(
    ("steps", "heads", "message"),
    [
        (revision_scripts.upgrade_steps("0099"), (), "Can't locate revision identified by '0099'"),
        (revision_scripts.upgrade_steps("head"), ("0099",), "Can't locate revision identified by '0099'"),
        (revision_scripts.upgrade_steps("000"), (), "Can't locate revision identified by '000'"),
        (revision_scripts.upgrade_steps("-1"), ("0002",), "Relative revision -1 didn't produce 1 migrations"),
        (revision_scripts.downgrade_steps("0099"), ("0002",), "Can't locate revision identified by '0099'"),
        (
            revision_scripts.downgrade_steps("0003"),
            ("0002",),
            "Destination 0003 is not a valid downgrade target from current head(s)",
        ),
    ],
)
def test_no_way(steps: revision_scripts.Steps, heads: tuple[str, ...], message: str) -> None:
    """As Alembic's commands say it."""
    with pytest.raises(CommandError, match=f"^{re.escape(message)}$"):
        steps(heads, CONTEXT)
