"""Jobs that gather in a session and are added when it commits."""
