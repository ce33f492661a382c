"""Names that the modules of this API share."""

NAME = "responses"
"""The API's name, and its key in `own`."""
ANNOTATIONS = f"own.{NAME}.annotations"
"""The path of the annotations of a text."""

ADDED, DONE, OUTPUT = "added", "done", "output"
"""Where an item is sent: when it begins, when it is done, and in the whole response."""
