"""What is requested of a model and what it replies, as values that belong to no API."""
