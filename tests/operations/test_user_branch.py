"""The labelled branch for ``version_locations`` has a revision for each of ours, in the same order."""

from __future__ import annotations

from pathlib import Path

from alembic.config import Config
from alembic.script import ScriptDirectory

import gw_sqla
from gw_sqla.schema.revision_scripts import known_revisions, scripts_folder


def test_one_for_each_of_our_revisions() -> None:
    config = Config()
    config.set_main_option("script_location", str(scripts_folder()))
    config.set_main_option("path_separator", "newline")
    config.set_main_option("version_locations", "gw_sqla:operations/user_branch")
    branch = ScriptDirectory.from_config(config)
    scripts = list(reversed(list(branch.walk_revisions())))
    wanted = [f"gw_sqla_{revision}" for revision in known_revisions()]
    assert [script.revision for script in scripts] == wanted, (
        "write what is missing, as those in gw_sqla/operations/user_branch are"
    )
    assert scripts[0].branch_labels == {"gw_sqla"}
    folder = Path(gw_sqla.__file__).parent / "operations/user_branch"
    assert not list(folder.glob("__init__.py")), "a folder of scripts, not a package"
    for start, script in zip([None, *known_revisions()], scripts, strict=False):
        text = Path(script.path).read_text()
        own = script.revision.removeprefix("gw_sqla_")
        arguments = [f'"{own}"', *([f'start="{start}"'] if start else []), "schema=branch_schema()"]
        assert text.count(f"UpgradeJobSchemaOp({', '.join(arguments)})") == 2, "up, and down by its reversal"
