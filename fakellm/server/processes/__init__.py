"""Work in other processes: `worker` and `workers` run it, `budgeted` refuses what exceeds a limit, `answering` and
`elsewhere` answer requests with it, and `model_reply` decides which requests need it."""
