"""The parts of a report: what a run found as values that are merged and read by machines, and a response as text."""
