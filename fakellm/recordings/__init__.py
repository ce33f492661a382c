"""Recorded HTTP: cassettes, capture, redaction and playback."""
