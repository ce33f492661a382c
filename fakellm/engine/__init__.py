"""A request to a response: which rule answers, what it sends, and what the journal keeps."""
