"""From an answer to its events or its body."""
