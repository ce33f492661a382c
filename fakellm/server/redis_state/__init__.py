"""Several servers, on several machines, that share their state in Redis: `--state redis://`.

`scripts` has what Redis does in one step, `link` is a server's connection to Redis, `servers` knows the other servers,
`redis_state` has copies of sessions, `redis_app` decides what waits for Redis, and `redis_server` starts and ends all
this with the server. `quotas/` shares what is used of quotas.

Of journals, `backlog` has what a server has not written, `entry_bytes` the form of that, `journals` decides when it is
written and read, `shared_journal` is a copy, and `reading_routes` knows which requests read one.
"""
