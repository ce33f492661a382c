"""Several processes that serve one port, `--workers`. One of them, the owner, has the state: sessions, counts of
attempts, quotas, journals, and what APIs keep. It accepts no connections. Each worker accepts some and answers what
needs no more of the state than numbers.

On the owner's side: `supervisor` starts and ends the workers, `owner` answers for all of them and keeps their journals,
`link` is its end for one worker, `watched_state` notices what the workers must forget. On a worker's side: `worker`
runs it, `worker_app` decides what it answers itself, `worker_state` has its copies of sessions, `reports` informs the
owner about its requests, `counted` has its numbers for the metrics, and `worker_steps` sends stepped replies. Between
them is a `channel`.
"""
