"""OpenAI's other routes, and what all its routes share: URLs, keys, response headers."""
