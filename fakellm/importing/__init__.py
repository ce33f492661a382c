"""Recordings to rules: each reply read back into a completion and the way it was streamed."""
