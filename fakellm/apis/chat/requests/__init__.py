"""Requests for chat completions: the typed body, how it is parsed, and what each provider refuses."""
