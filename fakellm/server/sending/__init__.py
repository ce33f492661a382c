"""Sends responses: when each frame leaves, what the journal records about it, and how late frames were."""
