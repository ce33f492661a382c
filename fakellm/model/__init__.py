"""What a model's reply means, whatever API sends it: completions, blocks, deltas, and the fold of deltas."""
