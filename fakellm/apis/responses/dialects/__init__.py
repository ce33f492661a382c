"""The providers of the Responses API, and the types that describe them."""
