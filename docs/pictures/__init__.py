"""The pictures of the documentation, each drawn from values that the code computes."""
