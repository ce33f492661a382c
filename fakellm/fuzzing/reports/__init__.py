"""The parts of a report: a response as text, and odd characters by name."""
