"""The providers whose spelling is known. A new one is a file beside this one and a line here."""

from __future__ import annotations

from fakellm.dialects.alibaba import ALIBABA
from fakellm.dialects.avian import AVIAN
from fakellm.dialects.charm_hyper import CHARM_HYPER
from fakellm.dialects.copilot import COPILOT
from fakellm.dialects.dialect import Dialect
from fakellm.dialects.moonshot import MOONSHOT
from fakellm.dialects.openai import OPENAI, REASONING
from fakellm.dialects.snowflake import SNOWFLAKE
from fakellm.dialects.writer import WRITER
from fakellm.dialects.xai import XAI, XAI_2025

_ALL = (OPENAI, REASONING, ALIBABA, AVIAN, CHARM_HYPER, COPILOT, MOONSHOT, SNOWFLAKE, WRITER, XAI, XAI_2025)
DIALECTS: dict[str, Dialect] = {dialect.name: dialect for dialect in _ALL}
