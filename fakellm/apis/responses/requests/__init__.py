"""Requests for a response: their typed body, and the neutral request that is made of it."""
