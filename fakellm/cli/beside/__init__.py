"""Tasks that run beside a server."""
