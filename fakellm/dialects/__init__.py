"""The providers whose spelling is known. A new one is a file beside this one and a line here."""

from __future__ import annotations

from fakellm.dialects.azure import AZURE
from fakellm.dialects.deepseek import DEEPSEEK
from fakellm.dialects.dialect import Dialect
from fakellm.dialects.groq import GROQ
from fakellm.dialects.openai import OPENAI
from fakellm.dialects.xai import XAI

DIALECTS: dict[str, Dialect] = {
    dialect.name: dialect
    for dialect in (
        OPENAI,
        AZURE,
        DEEPSEEK,
        GROQ,
        XAI,
    )
}
