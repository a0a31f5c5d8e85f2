"""Benchmarks: gw_sqla beside Graphile Worker and what PostgreSQL itself allows; ``nox -s bench``, JSON out.

Every figure is taken in one run on one machine, contenders in turn, and told as a ratio: machines are
shared and noisy. A rate is Graphile's own perfTest way: the wall time of a whole process that empties the
queue, less that of the same process on an empty queue. Jobs do nothing.
"""
