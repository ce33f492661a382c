"""Output items: their JSON, and the blocks that they stand for."""
