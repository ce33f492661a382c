"""The quotas of clients: the `limits:` block, what a request takes of a quota, and how a quota fills up again."""
