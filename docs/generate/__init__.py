"""The reference pages that are made from the code: every key, every command, every public name."""
