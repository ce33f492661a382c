"""Which steps recorded streams of chat take, and which providers sent them. Data only, counted in recordings.

A provider is a host, a gateway or a server for local models. A step that is not here may still be sent, by a provider
or a release that was not recorded.
"""

from __future__ import annotations

TOTAL = 285
"""How many recorded streams were counted."""

RECORDED: dict[str, tuple[int, str]] = {
    "split.reasoning: tokens": (227, "openrouter azure openai xai groq"),
    "unfinished: null": (217, "openrouter openai azure vercel-gateway groq"),
    "split.arguments: tokens": (167, "openrouter azure openai vercel-gateway deepseek"),
    "spelling.each": (166, "azure openrouter vercel-gateway groq openai"),
    "split.content: tokens": (166, "openai xai openrouter azure groq"),
    "split.content: offsets": (112, "openrouter azure zai vercel-gateway groq"),
    "usage: finish": (97, "vercel-gateway zai openrouter deepseek mistral"),
    "interleave: choices": (90, "azure openai openrouter avian writer"),
    "spelling.extra": (88, "openrouter azure openai deepseek avian"),
    "usage_before: null": (84, "azure openai deepseek openrouter writer"),
    "spelling.keys": (82, "azure openrouter openai zai deepseek"),
    "fill.opening.refusal: null": (78, "azure openai openrouter braintrust-proxy mirascope-router"),
    "fill.opening.content: text": (74, "azure openai openrouter braintrust-proxy mirascope-router"),
    "role: call": (67, "azure openai braintrust-proxy openrouter mirascope-router"),
    "reasoning: both": (62, "openrouter vercel-gateway"),
    "split.reasoning: offsets": (50, "zai openrouter azure xai groq"),
    "fill.finish.content: empty": (46, "zai deepseek mistral ollama ai21"),
    "fill.delta.content: text": (45, "openrouter avian"),
    "spelling.floats: decimal": (45, "openrouter vercel-gateway openai"),
    "role: first": (43, "xai azure litellm-proxy ollama"),
    "spelling.order: sorted": (41, "azure snowflake"),
    "reasoning: reasoning": (40, "groq huggingface openai ollama together"),
    "role: every": (40, "openrouter zai together snowflake ollama"),
    "ticks": (39, "xai azure llamacpp ollama groq"),
    "split.arguments: offsets": (35, "openai openrouter azure vercel-gateway deepseek"),
    "spelling.usage_keys": (32, "groq mistral huggingface litellm-proxy deepseek"),
    "spelling.delta_keys": (27, "openrouter openai azure deepseek groq"),
    "spelling.choice_keys": (26, "openrouter openai azure deepseek ai21"),
    "usage: after": (26, "openrouter"),
    "usage: both": (26, "groq huggingface openai litellm-proxy"),
    "padding": (24, "xai azure huggingface"),
    "role: repeated": (22, "openrouter avian writer"),
    "finish: twice": (20, "openrouter avian openai litellm-proxy deepseek"),
    "sse.insert: comment": (19, "openrouter"),
    "role: texts": (18, "zai"),
    "fill.opening.content: empty": (17, "mistral deepseek openrouter groq huggingface"),
    "together: calls": (17, "mistral huggingface deepseek openrouter ai21"),
    "padding: reasoning_details": (16, "openrouter vercel-gateway"),
    "padding: content": (15, "openrouter zai snowflake ollama"),
    "padding: role": (14, "openrouter zai snowflake"),
    "reasoning: thinking": (12, "mistral deepseek ai21 groq"),
    "spelling.details": (12, "openrouter vercel-gateway"),
    "finish: last": (11, "openrouter mistral perplexity vllm"),
    "fill.delta.content: empty": (10, "openrouter ollama together snowflake"),
    "finish: call": (10, "mistral deepseek ai21 groq"),
    "split.arguments: size": (10, "vercel-gateway openrouter avian"),
    "turns": (10, "zai openai litellm-proxy avian"),
    "padding: reasoning": (9, "openrouter vercel-gateway"),
    "done": (8, "huggingface writer perplexity gpustack"),
    "fill.opening.content: null": (8, "llamacpp openai"),
    "fill.delta.tool_calls: null": (6, "writer snowflake together"),
    "spelling.spaces": (6, "avian ai21 deepseek perplexity"),
    "sse.ends_with: line_end": (6, "openrouter groq anthropic"),
    "calls.opening: piece": (5, "llamacpp"),
    "calls.type: repeated": (5, "openrouter"),
    "spelling.html": (5, "azure groq"),
    "calls.arguments: null": (4, "writer openrouter"),
    "fill.finish.reasoning: empty": (4, "openrouter deepseek"),
    "fill.opening.reasoning: empty": (4, "azure ai21"),
    "spelling.call_keys": (4, "openai mistral groq openrouter"),
    "spelling.last_keys": (4, "openai"),
    "calls.id: null": (3, "writer"),
    "calls.name: null": (3, "writer"),
    "calls.type: null": (3, "writer"),
    "fill.delta.content: null": (3, "writer"),
    "fill.delta.refusal: null": (3, "writer"),
    "role: never": (3, "azure groq gpustack"),
    "spelling.ascii": (3, "openai vllm"),
    "split.arguments: words": (3, "writer"),
    "calls.arguments: absent": (2, "openrouter crusoe"),
    "calls.id: repeated": (2, "openrouter"),
    "fill.delta.refusal: empty": (2, "snowflake"),
    "reasoning: reasoning_details": (2, "snowflake"),
    "spelling.piece_keys": (2, "openrouter"),
    "split: tokens": (2, "openai"),
    "sse.insert: blank_line": (2, "avian"),
    "sse.line_end: crlf": (2, "ai21 perplexity"),
    "usage: running": (2, "deepseek perplexity"),
    "calls.index: from_one": (1, "anthropic"),
    "calls.name: empty": (1, "openrouter"),
    "calls.name: repeated": (1, "openrouter"),
    "fill.delta.reasoning: empty": (1, "zai"),
    "fill.finish.refusal: null": (1, "local"),
    "padding: annotations": (1, "openrouter"),
    "padding: executed_tools": (1, "groq"),
    "padding: reasoning_content": (1, "gpustack"),
    "padding: refusal": (1, "snowflake"),
    "padding: tool_calls": (1, "snowflake"),
    "split: random": (1, "snowflake"),
    "sse.ends_with: nothing": (1, "groq"),
}
"""By step: in how many streams it was, and the providers that sent most of them."""

NETWORK = (
    *(
        "transfer.cut: offsets",
        "transfer.cut: size",
        "transfer.cut: inside_characters",
        "transfer.cut: inside_line_ends",
    ),
    *("transfer.coalesce", "transfer.body", "transfer.gzip", "transfer.header_case"),
)
"""What networks and proxies do to any stream, whoever sends it."""


def is_recorded(step: str) -> bool:
    """Whether a provider has been recorded to send a step, or a network does it to any stream."""
    return step in RECORDED or step in NETWORK


def weight(family: str) -> int:
    """How often to draw a family of steps: once, and once more for each doubling of the streams that have it."""
    streams = sum(count for step, (count, _) in RECORDED.items() if step == family or step.startswith(f"{family}: "))
    return 1 + streams.bit_length()


def provenance(step: str, tier: str) -> str:
    """Who sends a step, for a report."""
    if step in RECORDED:
        count, providers = RECORDED[step]
        return f"sent by {providers.replace(' ', ', ')}: {count} of {TOTAL} recorded streams"
    if is_recorded(step):
        return "any network or proxy does it"
    return _ALLOWED.get(tier, "in no recorded stream")


_ALLOWED = {
    "T0": "in no recorded stream; HTTP allows it",
    "T1": "in no recorded stream; the standard for server-sent events allows it",
    "T2": "in no recorded stream; JSON allows it",
    "T3": "in no recorded stream; OpenAI's schema allows it",
    "fault": "made to fail",
}
"""What allows a step that is in no recorded stream, by its tier."""
