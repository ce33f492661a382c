"""A plan as HTTP/1.1: content codings, chunks, and what is written when."""
