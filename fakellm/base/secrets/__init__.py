"""What is secret in a text: by its name, by its form, or because it is known."""
