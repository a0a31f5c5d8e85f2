"""The services that keep jobs flowing: claimer, slots, finisher; cron; heartbeat, lease and recovery.

No task, stream, thread or scope is made for a job: slots live as long as the pool, take jobs from a
deque and hand outcomes to a list (design figures: a task costs 50 to 80 us, a deque 0.2 us).
"""
