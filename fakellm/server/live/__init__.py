"""What happens on a server, as events for whoever watches: sessions, scenarios, and requests with their replies."""
