"""From a claimed job to its outcome: the registry of tasks, the context, the call of the handler."""
