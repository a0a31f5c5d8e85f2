"""The state of a job, as a column and as text, is one thing."""

from __future__ import annotations

import re

from gw_sqla.statements.job_states import STATE_OF_J, state_of
from tests.statements.snapshot import DIALECT


def test_both_forms_say_the_same() -> None:
    column = str(state_of().compile(dialect=DIALECT))
    of_j = re.sub(r"\S*_private_jobs\.", "j.", column.replace("(", " ").replace(")", " "))
    text = STATE_OF_J.replace("(", " ").replace(")", " ")
    assert of_j.lower().split() == text.lower().split()
