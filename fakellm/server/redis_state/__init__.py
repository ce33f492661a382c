"""Several servers, on several machines, that share their sessions and counts of attempts in Redis: `--state redis://`.

`scripts` has what Redis does in one step, `link` is a server's connection to Redis, `redis_state` has its copies of
sessions, `redis_app` decides what waits for Redis, and `redis_server` starts and ends all this with the server.
"""
