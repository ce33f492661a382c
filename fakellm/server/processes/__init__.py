"""Work in other processes: `worker` and `workers` run it, `answering` and `elsewhere` answer requests with it, and
`model_reply` decides which requests need it."""
