"""Scenario files: those that come with the package, the versions of their format, and how a scenario is printed."""
