"""The commands of `fakellm`, one file each; `cli` knows their names."""
