"""Hooks: observers, which are told what happens, and interceptors, which wrap the running and the adding of jobs.

They are given to what they are for: ``Runner(observers=[...], interceptors=[...])``,
``JobRepository(interceptors=[...])``, `gw_sqla.Application` for a worker that the command line starts. There is no
registry for the whole program: two runners in one program would share what is meant for one.

A hook that is not there costs nothing: what would call it is chosen, or left out, when the worker is put together.
"""
