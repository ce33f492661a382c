"""Chat completions: requests, chunks and whole bodies, and how each provider spells them."""
