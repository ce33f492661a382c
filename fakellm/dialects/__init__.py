"""The providers whose spelling is known. A new one is a file beside this one and a line here."""

from __future__ import annotations

from fakellm.dialects.alibaba import ALIBABA
from fakellm.dialects.avian import AVIAN
from fakellm.dialects.azure import AZURE
from fakellm.dialects.cerebras import CEREBRAS
from fakellm.dialects.charm_hyper import CHARM_HYPER
from fakellm.dialects.copilot import COPILOT
from fakellm.dialects.deepseek import DEEPSEEK
from fakellm.dialects.dialect import Dialect
from fakellm.dialects.groq import GROQ
from fakellm.dialects.huggingface import HUGGINGFACE, HUGGINGFACE_NOVITA
from fakellm.dialects.llamacpp import LLAMACPP, LLAMACPP_2025
from fakellm.dialects.mistral import MISTRAL
from fakellm.dialects.moonshot import MOONSHOT
from fakellm.dialects.ollama import OLLAMA, OLLAMA_2025
from fakellm.dialects.openai import OPENAI, REASONING
from fakellm.dialects.openrouter import OPENROUTER, OPENROUTER_2025
from fakellm.dialects.perplexity import PERPLEXITY, PERPLEXITY_2025
from fakellm.dialects.snowflake import SNOWFLAKE
from fakellm.dialects.together import TOGETHER, TOGETHER_2025
from fakellm.dialects.vercel import VERCEL
from fakellm.dialects.vllm import VLLM, VLLM_2024
from fakellm.dialects.writer import WRITER
from fakellm.dialects.xai import XAI, XAI_2025
from fakellm.dialects.zai import ZAI, ZAI_2025

_ALL = (
    OPENAI,
    REASONING,
    ALIBABA,
    AVIAN,
    AZURE,
    CEREBRAS,
    CHARM_HYPER,
    COPILOT,
    DEEPSEEK,
    GROQ,
    HUGGINGFACE,
    HUGGINGFACE_NOVITA,
    LLAMACPP,
    LLAMACPP_2025,
    MISTRAL,
    MOONSHOT,
    OLLAMA,
    OLLAMA_2025,
    OPENROUTER,
    OPENROUTER_2025,
    PERPLEXITY,
    PERPLEXITY_2025,
    SNOWFLAKE,
    TOGETHER,
    TOGETHER_2025,
    VERCEL,
    VLLM,
    VLLM_2024,
    WRITER,
    XAI,
    XAI_2025,
    ZAI,
    ZAI_2025,
)

DIALECTS: dict[str, Dialect] = {dialect.name: dialect for dialect in _ALL}
