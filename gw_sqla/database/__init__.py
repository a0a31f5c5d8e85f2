"""The road to PostgreSQL on both event loops: the seam, sessions, the worker's own connections, URLs."""
