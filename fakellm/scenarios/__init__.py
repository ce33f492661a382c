"""What a test author writes, in Python and in YAML: rules, matchers and replies."""
