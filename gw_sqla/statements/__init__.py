"""Pure builders: a schema name in, a SQLAlchemy statement out; no session, no await.

The statements of the hot path and the calls of the schema's functions are text with typed bind
parameters, because a claim in five common table expressions reads best as SQL; what people filter
and page through is built from the models. Each builder is cached by its arguments: SQLAlchemy then
compiles a statement once.
"""
