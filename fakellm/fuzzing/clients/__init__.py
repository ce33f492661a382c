"""Clients under test: programs that speak the driver protocol, and Python functions."""
