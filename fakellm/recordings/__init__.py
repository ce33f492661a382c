"""Recorded HTTP: cassettes and their file formats, capture, redaction, request identity and playback."""
