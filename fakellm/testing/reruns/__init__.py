"""Runs tests again with their replies sent in other ways, or broken."""
