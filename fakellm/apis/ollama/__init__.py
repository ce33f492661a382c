"""Ollama's own API: `/api/chat`, `/api/generate`, and what describes its models."""
