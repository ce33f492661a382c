"""Turns a recorded reply into a rule: by meaning, literally, or with the fault that broke it."""
