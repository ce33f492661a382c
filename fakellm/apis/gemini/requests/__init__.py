"""Requests to the Gemini API: their fields, validation as Google validates them, and the neutral request."""
