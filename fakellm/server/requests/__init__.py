"""What arrives: which requests to control routes are refused, and what a connection may hold up."""
