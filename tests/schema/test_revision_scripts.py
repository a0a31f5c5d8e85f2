"""The two places of the scripts, and their head."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from alembic.script import ScriptDirectory
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
