"""The parts of the command `fakellm fuzz`: what its options take, how far it is, and what it found."""
