"""Bytes and when they leave: plans, HTTP/1.1, server-sent events, framing, transfer, timing."""
