"""Requests to the Messages API: their types, their validation, and the neutral request."""
