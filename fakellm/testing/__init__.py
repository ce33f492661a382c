"""fakellm inside a test run: handles, launchers and the pytest plugin."""
