"""Turns recordings into rules: each reply is read back into a completion and the way in which it was streamed."""
