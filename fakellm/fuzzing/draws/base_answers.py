"""The answers on which single steps and faults are tried. Data only."""

from __future__ import annotations

from fakellm.apis.chat.meaning import chat_choice
from fakellm.fuzzing.draws.payloads import answer
from fakellm.model.blocks import Choice, Stop, Text, Thinking, ToolCall

_CALLS = (ToolCall("call_0", "get_weather", '{"in":"Zürich 11"}'), ToolCall("call_1", "add", '{"to":{}}'))
"""In pieces of two characters, one of the second is `{}`, which looks like the whole of the arguments (C17)."""

TEXT = answer(chat_choice('7 °C in <東京> & 🌍\n"1/2"', finish_reason="stop"))
CALLS = answer(chat_choice("One moment", "Hm, well", tool_calls=_CALLS, finish_reason="tool_calls"))
CALL = answer(chat_choice(tool_calls=_CALLS[:1], finish_reason="tool_calls"))
"""Its first chunk already has content besides the role."""
REASONED = answer(chat_choice("It is 7", reasoning="Hm, well", finish_reason="stop"))
REFUSED = answer(chat_choice(refusal="I cannot", finish_reason="stop"))
CHOICES = answer(chat_choice("One is", finish_reason="stop"), chat_choice("Two it is", finish_reason="length"))
ORDERED = answer(
    Choice((Thinking(("Hm, well",)), Text("One moment"), _CALLS[0], Text("And now"), _CALLS[1]), Stop("tool_calls"))
)
"""For APIs in which text may follow a call."""
BASES = (TEXT, CALLS, REASONED, REFUSED, CHOICES)
SIMPLE = answer(chat_choice("Hello, world.", finish_reason="stop"))
"""What every client must read before anything else is tried on it."""
