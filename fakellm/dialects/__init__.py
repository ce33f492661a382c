"""The providers whose spelling is known. A new one is a file beside this one and a line here."""

from __future__ import annotations

from fakellm.dialects.cerebras import CEREBRAS
from fakellm.dialects.dialect import Dialect
from fakellm.dialects.huggingface import HUGGINGFACE, HUGGINGFACE_NOVITA
from fakellm.dialects.llamacpp import LLAMACPP, LLAMACPP_2025
from fakellm.dialects.ollama import OLLAMA, OLLAMA_2025
from fakellm.dialects.openai import OPENAI
from fakellm.dialects.perplexity import PERPLEXITY, PERPLEXITY_2025
from fakellm.dialects.together import TOGETHER, TOGETHER_2025
from fakellm.dialects.vllm import VLLM, VLLM_2024
from fakellm.dialects.xai import XAI

_ALL = (
    OPENAI,
    XAI,
    CEREBRAS,
    HUGGINGFACE,
    HUGGINGFACE_NOVITA,
    TOGETHER,
    TOGETHER_2025,
    OLLAMA,
    OLLAMA_2025,
    LLAMACPP,
    LLAMACPP_2025,
    VLLM,
    VLLM_2024,
    PERPLEXITY,
    PERPLEXITY_2025,
)

DIALECTS: dict[str, Dialect] = {dialect.name: dialect for dialect in _ALL}
