"""Guesses the provider of a recording: the dialect that it is most like. Owns the hosts of the providers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from urllib.parse import urlsplit

from fakellm.apis.chat.providers import DIALECTS
from fakellm.base.errors import StreamError
from fakellm.importing.infer import likeness
from fakellm.importing.infer_whole import whole_likeness

_HOSTS = {
    "api.openai.com": "openai",
    "openai.azure.com": "azure",
    "services.ai.azure.com": "azure",
    "api.x.ai": "xai",
    "api.groq.com": "groq",
    "api.deepseek.com": "deepseek",
    "openrouter.ai": "openrouter",
    "api.mistral.ai": "mistral",
    "api.z.ai": "zai",
    "ai-gateway.vercel.sh": "vercel",
    "router.huggingface.co": "huggingface",
    "api.cerebras.ai": "cerebras",
    "api.together.xyz": "together",
    "api.perplexity.ai": "perplexity",
    "dashscope.aliyuncs.com": "alibaba",
    "api.moonshot.ai": "moonshot",
    "githubcopilot.com": "copilot",
    "snowflakecomputing.com": "snowflake",
    "api.writer.com": "writer",
}
_SAMPLE = 40
"""How many chunks from the start are compared, and as many from the end."""


def of_host(url: str) -> str | None:
    """The dialect of the provider at this URL; None if its host is unknown."""
    try:
        host = urlsplit(url).hostname or ""
    except ValueError:  # no such host, but a recording may have any
        return None
    return next((name for known, name in _HOSTS.items() if host == known or host.endswith("." + known)), None)


def dialects(url: str, chunks: Sequence[str]) -> Iterator[str]:
    """The names of the dialects that the stream may be in, the likeliest first: those of the host, then those
    that it is most like. They are few, because each is costly to try."""
    named = of_host(url)
    family = [name for name in DIALECTS if named and (name == named or name.startswith(named + "-"))]
    sample = [*chunks[:_SAMPLE], *chunks[_SAMPLE:][-_SAMPLE:]]
    ranked = sorted(family, key=lambda name: -_likeness(sample, name))
    yield from ranked
    others = sorted((name for name in DIALECTS if name not in family), key=lambda name: -_likeness(sample, name))
    yield from others[:3]


def body_dialects(url: str, body: bytes) -> Iterator[str]:
    """As `dialects`, for a whole body."""
    named = of_host(url)
    family = [name for name in DIALECTS if named and (name == named or name.startswith(named + "-"))]
    yield from family
    others = sorted((name for name in DIALECTS if name not in family), key=lambda name: -_body_likeness(body, name))
    yield from others[:3]


def _body_likeness(body: bytes, name: str) -> float:
    try:
        return whole_likeness(body, DIALECTS[name])
    except StreamError:
        return 0.0


def _likeness(chunks: Sequence[str], name: str) -> float:
    try:
        return likeness(chunks, DIALECTS[name])
    except StreamError:
        return 0.0
