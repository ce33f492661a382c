"""The providers whose spelling is known. A new one is a file beside this one and a line here."""

from __future__ import annotations

from fakellm.dialects.azure import AZURE
from fakellm.dialects.deepseek import DEEPSEEK
from fakellm.dialects.dialect import Dialect
from fakellm.dialects.groq import GROQ
from fakellm.dialects.mistral import MISTRAL
from fakellm.dialects.openai import OPENAI
from fakellm.dialects.openrouter import OPENROUTER, OPENROUTER_2025
from fakellm.dialects.vercel import VERCEL
from fakellm.dialects.xai import XAI
from fakellm.dialects.zai import ZAI, ZAI_2025

DIALECTS: dict[str, Dialect] = {
    dialect.name: dialect
    for dialect in (
        OPENAI,
        AZURE,
        DEEPSEEK,
        GROQ,
        MISTRAL,
        OPENROUTER,
        OPENROUTER_2025,
        VERCEL,
        XAI,
        ZAI,
        ZAI_2025,
    )
}
