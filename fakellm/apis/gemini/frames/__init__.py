"""Frames of the Gemini API: their parts and counts, how they are written and read, and what a recorded one shows."""
