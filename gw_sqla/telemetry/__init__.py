"""What monitoring sees of a queue and its workers: metrics, health, traces."""
