"""The quotas of sessions, whose use servers share in Redis."""
