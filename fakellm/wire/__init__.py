"""Bytes, and when they are sent: plans, HTTP/1.1, server-sent events, framing, transfer, timing."""
