"""What is kept of responses and conversations, and the operations on it."""
