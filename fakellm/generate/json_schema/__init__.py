"""JSON Schemas to values that satisfy them."""
