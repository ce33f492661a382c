"""Anthropic's Messages API, as Anthropic, Vertex AI and compatible servers send it."""
