"""What is wrong with a scenario beyond the type of a value, and what to write instead."""
