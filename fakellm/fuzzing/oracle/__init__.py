"""Decides whether a client was right: the normal form of results, what a response contained, and the verdicts."""
