"""What the user's own Alembic environment takes from gw_sqla: operations, and a filter for autogenerate.

``import gw_sqla.operations`` (in env.py, or in the revision that uses them) gives Alembic's ``op`` the operations
``create_job_trigger``, ``drop_job_trigger``, ``upgrade_job_schema`` and ``downgrade_job_schema``. Type checkers do not
know them there; ``op.invoke(CreateJobTriggerOp(JobTrigger(...)))`` is the same, typed. The folder
``gw_sqla/operations/user_branch`` holds revisions for ``version_locations``. It loads Alembic; what workers and
applications import does not import it.
"""

from __future__ import annotations

from gw_sqla.operations.autogenerate_filter import include_object
from gw_sqla.operations.job_trigger import JobTrigger
from gw_sqla.operations.schema_operations import DowngradeJobSchemaOp, UpgradeJobSchemaOp, branch_schema
from gw_sqla.operations.trigger_operations import CreateJobTriggerOp, DropJobTriggerOp

__all__ = [
    "CreateJobTriggerOp",
    "DowngradeJobSchemaOp",
    "DropJobTriggerOp",
    "JobTrigger",
    "UpgradeJobSchemaOp",
    "branch_schema",
    "include_object",
]
