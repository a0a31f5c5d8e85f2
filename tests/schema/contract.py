"""The objects of the worker schema at revision 19, as PostgreSQL's catalogs describe them.

This restates the contract as data; it is compared with `catalog.read`, never with SQL text. ``{s}``
stands for the quoted schema name.
"""

from __future__ import annotations

from tests.schema.catalog import Catalog, Column, Function

WEIRD = """we"ird %s %%a) :x $$ $body$ \\ ' ; __schema__ Schema"""
"""A schema name with everything that has a meaning to somebody on the way to PostgreSQL."""

BREAKING = {1, 3, 11, 13, 14, 16, 19}

TEXT, INT, BIGINT, SMALLINT, BOOL = "text", "integer", "bigint", "smallint", "boolean"
TIME = "timestamp with time zone"


def _view(*names: str) -> list[Column]:
    return [_JOBS[name]._replace(not_null=False, default=None, identity="", generated="") for name in names]


_JOBS = {
    column.name: column
    for column in [
        Column("id", BIGINT, True, identity="a"),
        Column("job_queue_id", INT),
        Column("task_id", INT, True),
        Column("payload", "json", True, "'{}'::json"),
        Column("priority", SMALLINT, True, "0"),
        Column("run_at", TIME, True, "now()"),
        Column("attempts", SMALLINT, True, "0"),
        Column("max_attempts", SMALLINT, True, "25"),
        Column("last_error", TEXT),
        Column("created_at", TIME, True, "now()"),
        Column("updated_at", TIME, True, "now()"),
        Column("key", TEXT),
        Column("locked_at", TIME),
        Column("locked_by", TEXT),
        Column("revision", INT, True, "0"),
        Column("flags", "jsonb"),
        Column("is_available", BOOL, True, "((locked_at IS NULL) AND (attempts < max_attempts))", generated="s"),
    ]
}

CONTRACT = Catalog(
    relations={
        "_private_jobs": "r",
        "_private_job_queues": "r",
        "_private_tasks": "r",
        "_private_known_crontabs": "r",
        "migrations": "r",
        "jobs": "v",
        "job_spec": "c",
        "jobs_id_seq1": "S",
        "job_queues_id_seq": "S",
        "tasks_id_seq": "S",
    },
    columns={
        "_private_jobs": list(_JOBS.values()),
        "_private_job_queues": [
            Column("id", INT, True, identity="a"),
            Column("queue_name", TEXT, True),
            Column("locked_at", TIME),
            Column("locked_by", TEXT),
            Column("is_available", BOOL, True, "(locked_at IS NULL)", generated="s"),
        ],
        "_private_tasks": [Column("id", INT, True, identity="a"), Column("identifier", TEXT, True)],
        "_private_known_crontabs": [
            Column("identifier", TEXT, True),
            Column("known_since", TIME, True),
            Column("last_execution", TIME),
        ],
        "migrations": [
            Column("id", INT, True),
            Column("ts", TIME, True, "now()"),
            Column("breaking", BOOL, True, "false"),
        ],
        "jobs": [
            *_view("id"),
            Column("queue_name", TEXT),
            Column("task_identifier", TEXT),
            *_view("priority", "run_at", "attempts", "max_attempts", "last_error", "created_at", "updated_at", "key"),
            *_view("locked_at", "locked_by", "revision", "flags"),
        ],
        "job_spec": [
            Column("identifier", TEXT),
            Column("payload", "json"),
            Column("queue_name", TEXT),
            Column("run_at", TIME),
            Column("max_attempts", SMALLINT),
            Column("job_key", TEXT),
            Column("priority", SMALLINT),
            Column("flags", "text[]"),
        ],
    },
    constraints={
        "_private_jobs": {
            "jobs_pkey1": "PRIMARY KEY (id)",
            "jobs_key_key1": "UNIQUE (key)",
            "jobs_key_check": "CHECK (((length(key) > 0) AND (length(key) <= 512)))",
            "jobs_max_attempts_check": "CHECK ((max_attempts >= 1))",
        },
        "_private_job_queues": {
            "job_queues_pkey1": "PRIMARY KEY (id)",
            "job_queues_queue_name_key": "UNIQUE (queue_name)",
            "job_queues_queue_name_check": "CHECK ((length(queue_name) <= 128))",
        },
        "_private_tasks": {
            "tasks_pkey": "PRIMARY KEY (id)",
            "tasks_identifier_key": "UNIQUE (identifier)",
            "tasks_identifier_check": "CHECK ((length(identifier) <= 128))",
        },
        "_private_known_crontabs": {"known_crontabs_pkey": "PRIMARY KEY (identifier)"},
        "migrations": {"migrations_pkey": "PRIMARY KEY (id)"},
    },
    indexes={
        "jobs_pkey1": "CREATE UNIQUE INDEX jobs_pkey1 ON {s}._private_jobs USING btree (id)",
        "jobs_key_key1": "CREATE UNIQUE INDEX jobs_key_key1 ON {s}._private_jobs USING btree (key)",
        "jobs_main_index": (
            "CREATE INDEX jobs_main_index ON {s}._private_jobs USING btree (priority, run_at) "
            "INCLUDE (id, task_id, job_queue_id) WHERE (is_available = true)"
        ),
        "jobs_no_queue_index": (
            "CREATE INDEX jobs_no_queue_index ON {s}._private_jobs USING btree (priority, run_at) "
            "INCLUDE (id, task_id) WHERE ((is_available = true) AND (job_queue_id IS NULL))"
        ),
        "job_queues_pkey1": "CREATE UNIQUE INDEX job_queues_pkey1 ON {s}._private_job_queues USING btree (id)",
        "job_queues_queue_name_key": (
            "CREATE UNIQUE INDEX job_queues_queue_name_key ON {s}._private_job_queues USING btree (queue_name)"
        ),
        "tasks_pkey": "CREATE UNIQUE INDEX tasks_pkey ON {s}._private_tasks USING btree (id)",
        "tasks_identifier_key": (
            "CREATE UNIQUE INDEX tasks_identifier_key ON {s}._private_tasks USING btree (identifier)"
        ),
        "known_crontabs_pkey": (
            "CREATE UNIQUE INDEX known_crontabs_pkey ON {s}._private_known_crontabs USING btree (identifier)"
        ),
        "migrations_pkey": "CREATE UNIQUE INDEX migrations_pkey ON {s}.migrations USING btree (id)",
    },
    sequences={
        "jobs_id_seq1": (BIGINT, "_private_jobs.id"),
        "job_queues_id_seq": (INT, "_private_job_queues.id"),
        "tasks_id_seq": (INT, "_private_tasks.id"),
    },
    functions={
        "add_job": Function(
            "identifier text, payload json DEFAULT NULL::json, queue_name text DEFAULT NULL::text, "
            "run_at timestamp with time zone DEFAULT NULL::timestamp with time zone, "
            "max_attempts integer DEFAULT NULL::integer, job_key text DEFAULT NULL::text, "
            "priority integer DEFAULT NULL::integer, flags text[] DEFAULT NULL::text[], "
            "job_key_mode text DEFAULT 'replace'::text",
            "{s}._private_jobs",
        ),
        "add_jobs": Function(
            "specs {s}.job_spec[], job_key_preserve_run_at boolean DEFAULT false", "SETOF {s}._private_jobs"
        ),
        "remove_job": Function("job_key text", "{s}._private_jobs", strict=True),
        "complete_jobs": Function("job_ids bigint[]", "SETOF {s}._private_jobs"),
        "permanently_fail_jobs": Function(
            "job_ids bigint[], error_message text DEFAULT NULL::text", "SETOF {s}._private_jobs"
        ),
        "reschedule_jobs": Function(
            "job_ids bigint[], run_at timestamp with time zone DEFAULT NULL::timestamp with time zone, "
            "priority integer DEFAULT NULL::integer, attempts integer DEFAULT NULL::integer, "
            "max_attempts integer DEFAULT NULL::integer",
            "SETOF {s}._private_jobs",
        ),
        "force_unlock_workers": Function("worker_ids text[]", "void"),
    },
    row_security={"_private_jobs", "_private_job_queues", "_private_tasks", "_private_known_crontabs"},
    ledger={number: number in BREAKING for number in range(1, 20)},
)

_VERSION = "_private_sqla_alembic_version"

_WORKERS = "_private_sqla_workers"

_SNOOZES = "_private_sqla_snoozes"

_PAUSES = "_private_sqla_pauses"

_UPKEEP, _REMOVED = "_private_sqla_upkeep", "_private_sqla_removed"

_AUDIT = "_private_sqla_audit"

_FORWARDED = "_private_sqla_forwarded"

OURS = Catalog(
    relations={
        _VERSION: "r",
        _WORKERS: "r",
        _SNOOZES: "r",
        _PAUSES: "r",
        _UPKEEP: "r",
        _REMOVED: "r",
        _AUDIT: "r",
        f"{_AUDIT}_id_seq": "S",
        _FORWARDED: "r",
        f"{_FORWARDED}_id_seq": "S",
    },
    columns={
        _VERSION: [Column("version_num", "character varying(32)", True)],
        _WORKERS: [
            Column("pool_id", TEXT, True),
            Column("started_at", TIME, True, "now()"),
            Column("last_heartbeat_at", TIME, True, "now()"),
            Column("heartbeat_threshold", "interval", True),
            Column("metadata", "jsonb", True, "'{}'::jsonb"),
        ],
        _SNOOZES: [
            Column("job_id", BIGINT, True),
            Column("snoozes", INT, True),
            Column("first_at", TIME, True, "now()"),
            Column("last_at", TIME, True, "now()"),
            Column("reason", TEXT),
        ],
        _PAUSES: [
            Column("kind", TEXT, True),
            Column("name", TEXT, True, "''::text"),
            Column("paused_at", TIME, True, "now()"),
            Column("paused_until", TIME),
            Column("reason", TEXT),
            Column("paused_by", TEXT),
        ],
        _UPKEEP: [Column("work", TEXT, True), Column("last_at", TIME, True)],
        _REMOVED: [
            Column("kind", TEXT, True),
            Column("id", INT, True),
            Column("name", TEXT, True),
            Column("removed_at", TIME, True, "now()"),
        ],
        _AUDIT: [
            Column("id", BIGINT, True, identity="a"),
            Column("at", TIME, True, "now()"),
            Column("actor", TEXT, True),
            Column("action", TEXT, True),
            Column("detail", TEXT),
            Column("subject", TEXT, True),
            Column("jobs", INT, True),
            Column("left_out", INT, True),
        ],
        _FORWARDED: [
            Column("id", BIGINT, True, identity="a"),
            Column("job_id", BIGINT, True),
            Column("task_identifier", TEXT, True),
            Column("queue_name", TEXT),
            Column("payload", "json", True),
            Column("priority", "smallint", True),
            Column("run_at", TIME, True),
            Column("max_attempts", "smallint", True),
            Column("key", TEXT),
            Column("flags", "jsonb"),
            Column("forwarded_at", TIME, True, "now()"),
            Column("keep_until", TIME, True),
        ],
    },
    constraints={
        _VERSION: {f"{_VERSION}_pkc": "PRIMARY KEY (version_num)"},
        _WORKERS: {f"{_WORKERS}_pkey": "PRIMARY KEY (pool_id)"},
        _SNOOZES: {f"{_SNOOZES}_pkey": "PRIMARY KEY (job_id)"},
        _UPKEEP: {f"{_UPKEEP}_pkey": "PRIMARY KEY (work)"},
        _REMOVED: {
            f"{_REMOVED}_pkey": "PRIMARY KEY (kind, id)",
            f"{_REMOVED}_kind_check": "CHECK ((kind = ANY (ARRAY['task'::text, 'queue'::text])))",
        },
        _PAUSES: {
            f"{_PAUSES}_pkey": "PRIMARY KEY (kind, name)",
            f"{_PAUSES}_kind_check": ("CHECK ((kind = ANY (ARRAY['everything'::text, 'task'::text, 'queue'::text])))"),
        },
        _AUDIT: {f"{_AUDIT}_pkey": "PRIMARY KEY (id)"},
        _FORWARDED: {f"{_FORWARDED}_pkey": "PRIMARY KEY (id)"},
    },
    indexes={
        f"{_VERSION}_pkc": f"CREATE UNIQUE INDEX {_VERSION}_pkc ON {{s}}.{_VERSION} USING btree (version_num)",
        f"{_WORKERS}_pkey": f"CREATE UNIQUE INDEX {_WORKERS}_pkey ON {{s}}.{_WORKERS} USING btree (pool_id)",
        f"{_AUDIT}_pkey": f"CREATE UNIQUE INDEX {_AUDIT}_pkey ON {{s}}.{_AUDIT} USING btree (id)",
        f"{_FORWARDED}_pkey": f"CREATE UNIQUE INDEX {_FORWARDED}_pkey ON {{s}}.{_FORWARDED} USING btree (id)",
        "sqla_forwarded_until_index": (
            f"CREATE INDEX sqla_forwarded_until_index ON {{s}}.{_FORWARDED} USING btree (keep_until)"
        ),
        f"{_SNOOZES}_pkey": f"CREATE UNIQUE INDEX {_SNOOZES}_pkey ON {{s}}.{_SNOOZES} USING btree (job_id)",
        f"{_PAUSES}_pkey": f"CREATE UNIQUE INDEX {_PAUSES}_pkey ON {{s}}.{_PAUSES} USING btree (kind, name)",
        f"{_UPKEEP}_pkey": f"CREATE UNIQUE INDEX {_UPKEEP}_pkey ON {{s}}.{_UPKEEP} USING btree (work)",
        f"{_REMOVED}_pkey": f"CREATE UNIQUE INDEX {_REMOVED}_pkey ON {{s}}.{_REMOVED} USING btree (kind, id)",
        "sqla_jobs_queue_index": (
            "CREATE INDEX sqla_jobs_queue_index ON {s}._private_jobs USING btree (job_queue_id, priority, run_at, id) "
            "WHERE (is_available AND (job_queue_id IS NOT NULL))"
        ),
        "sqla_jobs_ready_index": (
            "CREATE INDEX sqla_jobs_ready_index ON {s}._private_jobs USING btree (priority, run_at, id) "
            "WHERE (is_available AND (job_queue_id IS NULL))"
        ),
        "sqla_jobs_failed_index": (
            "CREATE INDEX sqla_jobs_failed_index ON {s}._private_jobs USING btree (id) "
            "WHERE ((locked_at IS NULL) AND (attempts >= max_attempts))"
        ),
        "sqla_jobs_turn_index": (
            "CREATE INDEX sqla_jobs_turn_index ON {s}._private_jobs USING btree (priority, run_at, id) "
            "WHERE (is_available AND (job_queue_id IS NOT NULL))"
        ),
    },
    functions={
        "sqla_complete_job": Function(
            "job_id bigint, attempt smallint, keyed boolean, claimed_at timestamp with time zone, "
            "queue_id integer, pool_id text",
            "boolean",
        ),
    },
    sequences={
        f"{_AUDIT}_id_seq": (BIGINT, f"{_AUDIT}.id"),
        f"{_FORWARDED}_id_seq": (BIGINT, f"{_FORWARDED}.id"),
    },
    row_security={_VERSION, _WORKERS, _SNOOZES, _PAUSES, _UPKEEP, _REMOVED, _AUDIT, _FORWARDED},
    others=["option fillfactor=50"],
)
"""What gw_sqla adds to the contract."""
