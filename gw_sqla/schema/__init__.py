"""The worker schema: what the database says about it, Alembic's revisions of it, and the way from one to the next."""
