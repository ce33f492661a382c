"""Makes values that satisfy a JSON Schema.

`instance` is the entry point. `check` validates with the jsonschema library, `grow` fills objects and lists, `merge`
combines schemas, `depth` finds where recursion can end, and `scalars`, `formats` and `regex` make numbers and texts.
"""
