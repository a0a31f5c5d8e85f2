"""The schema that gw_sqla makes does what the model of the contract does, in any order of calls."""

from __future__ import annotations

from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.faults.machine import SchemaMachine

MACHINE = settings(  # without shrinking, which takes longer than a test may
    max_examples=30,
    stateful_step_count=40,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    print_blob=True,
    phases=[Phase.generate],
)


def test_the_schema_is_the_models(database: str) -> None:
    class Ours(SchemaMachine):
        url = database

    run_state_machine_as_test(Ours, settings=MACHINE)
