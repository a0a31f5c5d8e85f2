"""What a job is made of: values at each station, payloads, tasks, and the checks of what callers pass."""
