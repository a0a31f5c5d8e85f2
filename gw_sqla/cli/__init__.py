"""The command line, ``python -m gw_sqla``: arguments to calls; nothing is decided here that the API decides."""
