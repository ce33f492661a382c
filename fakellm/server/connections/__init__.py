"""How a server treats its connections: settings, and TLS."""
