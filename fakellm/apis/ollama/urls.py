"""Which paths belong to Ollama's API, and the names of its dialects. Imports none of it.

A base URL is the server's address, without a path; Open WebUI passes requests on under `/ollama`.
https://github.com/ollama/ollama/blob/main/docs/api.md
"""

from __future__ import annotations

from fakellm.apis.target import Target

DIALECTS = ("ollama", "ollama-2025", "ollama-2024")
"""The names of the dialects; the first is the default."""

REPLIES = ("/api/chat", "/api/generate")
ROUTES = (*REPLIES, "/api/tags", "/api/show", "/api/ps", "/api/version", "/api/embed", "/api/embeddings")

REFUSED = {
    "/api/pull": "download models: every model name is answered",
    "/api/push": "upload models",
    "/api/create": "create models: a rule with `when: {model: …}` answers for one",
    "/api/copy": "copy models",
    "/api/delete": "delete models",
    "/api/blobs": "store files of models",
}
"""What the server does not do, by path."""

_BASES = ("", "/ollama")


def target(path: str) -> Target | None:
    """The target of a path; None if it is not one of this API's."""
    for base in _BASES:
        route = path.removeprefix(base)
        known = next((each for each in REFUSED if f"{route}/".startswith(f"{each}/")), None)
        if route in ROUTES or known:
            return Target(known or route, api="ollama")
    return None
