"""Requests to Ollama's API: their bodies, and what they mean."""
