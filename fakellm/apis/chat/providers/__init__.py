"""The dialects by name. A new provider needs a file beside this one and a line here.

A provider's file is imported when its dialect is first needed: a server that starts needs one of them, not all.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import import_module

from fakellm.apis.chat.dialect import Dialect

_FILES: dict[str, tuple[str, ...]] = {
    "alibaba": ("alibaba",),
    "avian": ("avian",),
    "azure": ("azure",),
    "cerebras": ("cerebras",),
    "charm_hyper": ("charm-hyper",),
    "copilot": ("copilot",),
    "deepseek": ("deepseek",),
    "groq": ("groq",),
    "huggingface": (
        "huggingface",
        "huggingface-groq",
        "huggingface-novita",
    ),
    "llamacpp": (
        "llamacpp",
        "llamacpp-2025",
    ),
    "mistral": ("mistral",),
    "moonshot": ("moonshot",),
    "ollama": (
        "ollama",
        "ollama-2025",
    ),
    "openai": (
        "openai",
        "openai-reasoning",
    ),
    "openrouter": (
        "openrouter",
        "openrouter-2025",
    ),
    "perplexity": (
        "perplexity",
        "perplexity-2025",
    ),
    "snowflake": ("snowflake",),
    "together": (
        "together",
        "together-2025",
    ),
    "vercel": ("vercel",),
    "vllm": (
        "vllm",
        "vllm-2024",
    ),
    "writer": ("writer",),
    "xai": (
        "xai",
        "xai-2025",
    ),
    "zai": (
        "zai",
        "zai-2025",
    ),
}
"""Each file, and the names of the dialects in it."""

_HOMES = {name: file for file, names in _FILES.items() for name in names}


class _Dialects(Mapping[str, Dialect]):
    """The dialects by name, in alphabetical order."""

    def __init__(self) -> None:
        self._known: dict[str, Dialect] = {}

    def __getitem__(self, name: str) -> Dialect:
        if name not in self._known:
            found = vars(import_module(f"fakellm.apis.chat.providers.{_HOMES[name]}")).values()
            self._known[name] = next(each for each in found if isinstance(each, Dialect) and each.name == name)
        return self._known[name]

    def __contains__(self, name: object) -> bool:
        return name in _HOMES

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(_HOMES))

    def __len__(self) -> int:
        return len(_HOMES)


DIALECTS: Mapping[str, Dialect] = _Dialects()
