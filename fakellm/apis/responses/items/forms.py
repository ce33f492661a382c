"""The JSON of output items, as they begin, as they are done, and as the whole response repeats them.

Made once for an answer, from its completion, its habits and the recorded values. Knows no events.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from fakellm.apis.responses.habits import Habits
from fakellm.apis.responses.items.server_items import opened
from fakellm.apis.responses.names import ADDED, DONE, NAME, OUTPUT
from fakellm.base.json_text import JSON
from fakellm.base.seed import ALNUM, Source
from fakellm.model.blocks import Block, Opaque, Refusal, Text, Thinking, Token, ToolCall, own_value

_CIPHER = ALNUM + "-_"


class Forms(Struct, frozen=True):
    """One item: when it begins, when it is done, in the whole response. `id`: its id, None if it has none."""

    added: JSON
    done: JSON
    output: JSON
    id: str | None


class Maker:
    """Makes the forms of the items of one answer."""

    def __init__(
        self,
        habits: Habits,
        source: Source,
        response: str = "",
        created: int = 0,
        incomplete: bool = False,
        kinds: Sequence[str] = (),
    ) -> None:
        self.habits, self.source = habits, source
        self.response, self.created, self.incomplete, self.kinds = response, created, incomplete, kinds
        self._items, self._ids = habits.recorded.items, habits.recorded.ids

    def forms(self, groups: Sequence[Sequence[Block]]) -> tuple[Forms, ...]:
        """The forms of the items, each from its blocks; the last of an incomplete response is incomplete too."""
        last = len(groups) - 1
        return tuple(
            self._forms(number, group, self.incomplete and number == last) for number, group in enumerate(groups)
        )

    def _forms(self, number: int, group: Sequence[Block], incomplete: bool) -> Forms:
        block = group[0]
        kind = kind_of(block)
        if isinstance(block, Opaque):
            item = block.value if "id" in block.value else {"id": self.id_of(number, kind), **block.value}
            added = opened(item)
        else:
            item = self._item(block, group, "incomplete" if incomplete else "completed", number)
            added = self._added(block, item)
        laid = {ADDED: added, DONE: item, OUTPUT: item}
        forms = {at: self._laid(number, kind, at, value, isinstance(block, Opaque)) for at, value in laid.items()}
        found = forms[DONE].get("id")
        return Forms(forms[ADDED], forms[DONE], forms[OUTPUT], found if isinstance(found, str) else None)

    def id_of(self, number: int, kind: str) -> str:
        """The id of an item: the recorded one, or one that is drawn."""
        if number < len(self._ids) and self._ids[number]:
            return self._ids[number]
        draw = self.habits.dialect.ids.item
        place = self.kinds[:number].count(kind)
        return self.source.draw(("item", number), lambda each: draw(each, kind, self.response, self.created, place))

    def _item(self, block: Block, group: Sequence[Block], status: str, number: int) -> JSON:
        """A finished item, with all keys that it can have."""
        kind = kind_of(block)
        item: JSON = {"id": self.id_of(number, kind), "type": kind, "status": status}
        if not self.habits.layouts.has(f"{kind}@{DONE}", "status"):
            del item["status"]  # a reasoning of OpenAI's has none
        match block:
            case Thinking(parts, summary, signature):
                if parts:
                    item["content"] = [self.part("reasoning_text", text, DONE) for text in parts]
                item |= {"encrypted_content": signature} if signature else {}
                item["summary"] = [self.part("summary_text", text, DONE) for text in summary]
            case ToolCall(call_id, name, arguments):
                custom = block.kind == "custom"
                item |= {"input": arguments} if custom else {"arguments": arguments}
                item |= {"call_id": call_id, "name": name}
            case Text() | Refusal():
                item["content"] = [self.message_part(each, DONE) for each in group if isinstance(each, (Text, Refusal))]
        own = getattr(block, "own", {}).get(NAME, {})
        item |= {key: value for key, value in own.items() if key != "annotations"}
        if isinstance(block, (Text, Refusal)):
            item["role"] = "assistant"
        return item

    def _added(self, block: Block, item: JSON) -> JSON:
        """The item as it begins: in progress, and without what arrives later."""
        late = self.habits.dialect.late if isinstance(block, Thinking) else ()
        added = {key: value for key, value in item.items() if key not in late}
        if added.get("status") in ("completed", "incomplete"):
            added["status"] = "in_progress"
        for key in ("content", "summary"):
            if key in added:
                added[key] = []
        for key in ("arguments", "input"):
            if key in added and isinstance(block, ToolCall):
                added[key] = ""
        return added

    def message_part(self, block: Text | Refusal, at: str) -> JSON:
        """A part of a message."""
        if isinstance(block, Refusal):
            return self.habits.layouts.object(f"refusal@{at}", {"type": "refusal", "refusal": block.text})
        cited = own_value(block.own, NAME, "annotations", [])
        part = {"type": "output_text", "annotations": cited, "logprobs": self.logprobs(block.logprobs)}
        return self.habits.layouts.object(f"output_text@{at}", {**part, "text": block.text})

    def part(self, kind: str, text: str, at: str) -> JSON:
        """A part of a reasoning."""
        return self.habits.layouts.object(f"{kind}@{at}", {"type": kind, "text": text})

    def logprobs(self, tokens: Sequence[Token]) -> list[JSON]:
        """The log probabilities of tokens."""
        return [self._token(token, True) for token in tokens]

    def _token(self, token: Token, top: bool) -> JSON:
        sent = list(token.token.encode("utf-8", "surrogatepass")) if token.bytes == () else token.bytes
        found: JSON = {"token": token.token, "bytes": sent, "logprob": token.logprob}
        if top:
            found["top_logprobs"] = [self._token(each, False) for each in token.top]
        return self.habits.layouts.object("token" if top else "top_token", found)

    def _laid(self, number: int, kind: str, at: str, item: JSON, verbatim: bool) -> JSON:
        """The item as it is sent there: laid out, with another ciphertext at each place, and what was recorded."""
        fresh = self.habits.dialect.fresh and kind == "reasoning" and at != DONE
        sealed = item.get("encrypted_content")
        if fresh and sealed and isinstance(sealed, str):  # a scripted item may have anything there
            cipher = self.source.draw(("encrypted_content", number, at), lambda each: each.text(_CIPHER, len(sealed)))
            item = {**item, "encrypted_content": sealed[:5] + cipher[5:]}
        if not verbatim:
            item = self.habits.layouts.object(f"{kind}@{at}", item)
        if at == OUTPUT and not verbatim and self.habits.layouts.orders:
            item = self._parts_in_output(item)
        recorded = self._items.get(f"{number}@{at}")
        return {**item, **recorded} if recorded else item

    def _parts_in_output(self, item: JSON) -> JSON:
        """The item whose parts are laid out as in a whole response."""
        found: JSON = dict(item)
        for key in ("content", "summary"):
            if isinstance(found.get(key), list):
                found[key] = [self.habits.layouts.object(f"{each['type']}@{OUTPUT}", each) for each in found[key]]
        return found


def kind_of(block: Block) -> str:
    """The type of the item that a block becomes."""
    match block:
        case Thinking():
            return "reasoning"
        case ToolCall(kind="custom"):
            return "custom_tool_call"
        case ToolCall():
            return "function_call"
        case Opaque(_, value):
            return str(value.get("type"))
    return "message"
