"""One request in full: its conversation, what each frame of its reply adds, why a rule answered it, and how to send it
again."""
