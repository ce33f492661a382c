"""What a test author writes: rules, matchers and replies, in Python and in YAML."""
