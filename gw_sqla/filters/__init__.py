"""Which jobs are meant: a frozen value (`gw_sqla.filters.job_filter`) and its text form, for people and programs.

The text is what a person types: words, all of which a job must fit. `words` cuts it, `parse` reads it, `render` writes
it. `gw_sqla.statements.job_conditions` makes conditions of the value. docs/operating.md shows the grammar.

Rejected: SQL fragments (whoever may filter could run anything), and a grammar with ``or`` and brackets: commas
and a leading ``-`` say what people look for, and each condition can be tested against the others for contradictions.
"""
