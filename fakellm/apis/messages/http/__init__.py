"""What surrounds a message in HTTP: URLs, headers, errors, and operations that return no message."""
