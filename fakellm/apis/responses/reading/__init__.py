"""From events and bodies back to batches, habits and drawn values."""
