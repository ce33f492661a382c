"""What recordings show of streams: which steps providers send."""
