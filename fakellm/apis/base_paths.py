"""The base paths of OpenAI's routes, of its Responses API and of Anthropic's: one table for each. Knows no route.

A client appends the same few routes to its base URL, whichever provider that leads to. `{…}` stands for one segment.
"""

from __future__ import annotations

import re

OPENAI = {
    "/v1": "OpenAI and most others",
    "": "DeepSeek, Perplexity, GitHub Copilot",
    "/api/v1": "OpenRouter",
    "/openai/v1": "Azure, Groq, Novita",
    "/openai": "Azure, with `api-version`",
    "/models": "Azure AI Foundry's model inference",
    "/v1beta/openai": "Google AI Studio",
    "/v1/projects/{project}/locations/{location}/endpoints/openapi": "Google Vertex AI",
    "/v1beta1/projects/{project}/locations/{location}/endpoints/openapi": "Google Vertex AI",
    "/api/paas/v4": "Z.ai, Zhipu",
    "/api/coding/paas/v4": "Z.ai's coding plan",
    "/compatible-mode/v1": "Alibaba Cloud",
    "/inference/v1": "Fireworks",
    "/inference": "GitHub Models",
    "/orgs/{org}/inference": "GitHub Models, for an organization",
    "/v1/openai": "DeepInfra",
    "/compatibility/v1": "Cohere",
    "/api/v3": "Volcengine Ark",
    "/v2": "Baidu Qianfan",
    "/v3/openai": "Novita's older one",
    "/client/v4/accounts/{account}/ai/v1": "Cloudflare Workers AI",
    "/serving-endpoints": "Databricks",
    "/api/v2/cortex/v1": "Snowflake Cortex",
    "/studio/v1": "AI21",
    "/engines/v1": "Docker Model Runner",
    "/engines/{engine}/v1": "Docker Model Runner, with an engine",
    "/ollama/v1": "Open WebUI",
    "/together/v1": "Hugging Face, at Together",
    "/nebius/v1": "Hugging Face, at Nebius",
    "/hyperbolic/v1": "Hugging Face, at Hyperbolic",
    "/groq/openai/v1": "Hugging Face, at Groq",
    "/novita/v3/openai": "Hugging Face, at Novita",
}
"""The base paths of OpenAI's routes, with the providers that have them."""

RESPONSES = {
    "/v1": "OpenAI and most others",
    "": "a base URL without a path",
    "/api/v1": "OpenRouter",
    "/openai/v1": "Azure, Groq, Amazon Bedrock",
    "/openai": "Azure, with `api-version`",
    "/backend-api/codex": "ChatGPT, for Codex",
    "/inference/v1": "Fireworks",
    "/api/v3": "Volcengine Ark",
    "/api/v2/apps/protocols/compatible-mode/v1": "Alibaba Cloud",
    "/ollama/v1": "Open WebUI",
}
"""The base paths of the Responses API, with the providers that have them."""

ANTHROPIC = {
    "/v1": "Anthropic",
    "": "a base URL that ends in the version",
    "/api/v1": "OpenRouter",
    "/api": "OpenRouter, without the version",
    "/anthropic/v1": "DeepSeek, Moonshot, MiniMax, Azure AI Foundry",
    "/anthropic": "the same, without the version",
    "/api/anthropic/v1": "Z.ai",
    "/api/anthropic": "Z.ai, without the version",
    "/apps/anthropic/v1": "Alibaba Cloud",
    "/coding/v1": "Kimi's coding plan",
    "/api/coding/v1": "Volcengine's coding plan",
}
"""The base paths of Anthropic's routes, with the providers that have them."""


def pattern(*bases: str) -> str:
    """A regular expression, in a group that is not captured, for these base paths."""
    return f"(?:{'|'.join(re.sub(r'{[^}]*}', '[^/]+', base) for base in bases)})"
