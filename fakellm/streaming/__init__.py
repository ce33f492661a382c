"""How a completion is divided into batches of deltas, and how a division is read back from recorded batches."""
