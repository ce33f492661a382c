"""Failing cases made smaller."""
