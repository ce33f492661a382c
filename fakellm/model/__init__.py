"""What a model is asked and what it answers, as values that belong to no API."""
