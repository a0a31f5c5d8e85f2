"""What of an error may be stored or logged: one place for it, which every other asks."""
