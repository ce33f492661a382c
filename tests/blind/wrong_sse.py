"""Wrong clients: the parser of server-sent events (HTML 9.2.5 and 9.2.6)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from tests.blind.bug import wrong
from tests.blind.chat import Chat
from tests.blind.sse import Event
from tests.blind.wire import ClientError


@wrong(Chat, "lines", "HTML 9.2.5: a line ends with CR LF, LF or CR, and with nothing else")
def splits_at_every_line_end_of_unicode(self: Chat, texts: Iterable[str]) -> Iterator[str]:
    """Uses str.splitlines, which also splits at U+2028, U+0085 and others."""
    buffer = ""
    for text in texts:
        *lines, buffer = (buffer + text + "x").splitlines()
        buffer = buffer[:-1]
        yield from lines


@wrong(Chat, "lines", "HTML 9.2.5: a line may end with CR LF")
def splits_at_line_feeds(self: Chat, texts: Iterable[str]) -> Iterator[str]:
    """Splits at LF only, so that a blank line of CR LF is not blank."""
    buffer = ""
    for text in texts:
        *lines, buffer = (buffer + text).split("\n")
        yield from lines


@wrong(Chat, "lines", "HTML 9.2.5: a line may end with CR alone")
def does_not_know_cr(self: Chat, texts: Iterable[str]) -> Iterator[str]:
    """Splits at LF and CR LF."""
    buffer = ""
    for text in texts:
        *lines, buffer = (buffer + text).split("\n")
        yield from (line.removesuffix("\r") for line in lines)


@wrong(Chat, "lines", "HTML 9.2.5: CR LF is one line end, even if its halves arrive apart")
def splits_crlf_in_two(self: Chat, texts: Iterable[str]) -> Iterator[str]:
    """Takes a CR at the end of a read and the LF of the next for two line ends."""
    buffer = ""
    for text in texts:
        *lines, buffer = (buffer + text).replace("\r\n", "\n").replace("\r", "\n").split("\n")
        yield from lines


@wrong(Chat, "lines", "HTML 9.2.5: CR ends a line, whether or not LF follows")
def waits_for_the_byte_after_cr(self: Chat, texts: Iterable[str]) -> Iterator[str]:
    """Holds back a line whose CR is the last byte that has arrived, even at the end of the stream."""
    buffer = ""
    for text in texts:
        whole, held = buffer + text, ""
        if whole.endswith("\r"):
            whole, held = whole[:-1], "\r"
        *lines, buffer = whole.replace("\r\n", "\n").replace("\r", "\n").split("\n")
        buffer += held
        yield from lines


@wrong(Chat, "lines", "HTML 9.2.5: a line has any length")
def has_lines_of_64_kib(self: Chat, texts: Iterable[str]) -> Iterator[str]:
    """Refuses lines beyond the limit of its reader, 64 KiB."""
    for line in Chat.lines(self, texts):
        if len(line.encode()) > 65536:
            raise ClientError("chunk is longer than limit")
        yield line


@wrong(Chat, "lines", "HTML 9.2.5: the stream is a sequence of characters, whatever the reads were")
def starts_each_read_on_a_line(self: Chat, texts: Iterable[str]) -> Iterator[str]:
    """Splits each read by itself, so that a line cut in two is two lines."""
    for text in texts:
        yield from text.replace("\r\n", "\n").replace("\r", "\n").split("\n")


@wrong(Chat, "lines", "HTML 9.2.5: a blank line ends an event; any number of them may follow")
def ends_at_two_blank_lines(self: Chat, texts: Iterable[str]) -> Iterator[str]:
    """Takes two blank lines for the end of the stream."""
    last = "x"
    for line in Chat.lines(self, texts):
        if not line and not last:
            return
        yield line
        last = line


@wrong(Chat, "lines", "HTML 9.2.5: a stream may begin with any line")
def ends_at_a_blank_first_line(self: Chat, texts: Iterable[str]) -> Iterator[str]:
    """Takes a stream that begins with a blank line for an empty one."""
    lines = Chat.lines(self, texts)
    first = next(lines, "")
    if first:
        yield first
        yield from lines


@wrong(Chat, "field", "HTML 9.2.6: one space after the colon is removed if there is one")
def needs_the_space(self: Chat, line: str) -> tuple[str, str]:
    """Knows `data: ` but not `data:`."""
    name, found, value = line.partition(": ")
    return (name, value) if found else ("", "")


@wrong(Chat, "field", "HTML 9.2.6: a line without a colon is a field with an empty value")
def needs_a_colon(self: Chat, line: str) -> tuple[str, str]:
    """Fails on a line without a colon."""
    name, value = line.split(":", 1)
    return name, value.removeprefix(" ")


@wrong(Chat, "field", "HTML 9.2.6: other fields are ignored")
def knows_only_its_fields(self: Chat, line: str) -> tuple[str, str]:
    """Fails on a field that it does not know."""
    name, value = Chat.field(self, line)
    if name not in ("", "data", "event", "id", "retry"):
        raise ClientError(f"unknown field {name!r}")
    return name, value


@wrong(Chat, "field", "HTML 9.2.6: a line that starts with a colon is ignored")
def finds_data_in_comments(self: Chat, line: str) -> tuple[str, str]:
    """Looks for `data:` anywhere in the line."""
    _, found, value = line.partition("data:")
    return ("data", value.removeprefix(" ")) if found else Chat.field(self, line)


@wrong(Chat, "field", "HTML 9.2.6: a line that starts with a colon is ignored")
def fails_on_comments(self: Chat, line: str) -> tuple[str, str]:
    """Takes a comment for a field without a name."""
    name, value = Chat.field(self, line)
    if not name:
        raise ClientError(f"a field without a name: {line[:80]!r}")
    return name, value


@wrong(Chat, "field", "HTML 9.2.6: field names are compared as they are; ` data` is another field")
def strips_lines(self: Chat, line: str) -> tuple[str, str]:
    """Strips each line, so that ` data` is data."""
    return Chat.field(self, line.strip())


@wrong(Chat, "field", "HTML 9.2.6: field names are compared as they are; `Data` is another field")
def ignores_case_in_fields(self: Chat, line: str) -> tuple[str, str]:
    """Takes `DATA` for `data`, as headers do."""
    name, value = Chat.field(self, line)
    return name.lower(), value


@wrong(Chat, "field", "HTML 9.2.6: retry counts only if it has digits alone, and is ignored otherwise")
def reads_any_retry(self: Chat, line: str) -> tuple[str, str]:
    """Converts every `retry` to a number."""
    name, value = Chat.field(self, line)
    if name == "retry":
        int(value)
    return name, value


@wrong(Chat, "field", "HTML 9.2.6: a field is data if its name is exactly `data`")
def takes_names_that_begin_with_data(self: Chat, line: str) -> tuple[str, str]:
    """Takes every line that begins with `data` for data."""
    name, value = Chat.field(self, line)
    return ("data", value) if name.startswith("data") else (name, value)


@wrong(Chat, "events", "HTML 9.2.6: every data field is appended to the data")
def keeps_the_last_data_line(self: Chat, lines: Iterable[str]) -> Iterator[Event]:
    """Replaces the data of an event with that of its next line."""
    kind, data = "", None
    for line in lines:
        name, value = self.field(line) if line else ("", "")
        if name == "data":
            data = value
        elif name == "event":
            kind = value
        elif not line:
            if data:
                yield Event(kind, data)
            kind, data = "", None


@wrong(Chat, "events", "HTML 9.2.6: an event is dispatched at its blank line")
def takes_each_data_line_for_an_event(self: Chat, lines: Iterable[str]) -> Iterator[Event]:
    """Does not wait for the blank line."""
    kind = ""
    for line in lines:
        name, value = self.field(line) if line else ("", "")
        if name == "data":
            yield Event(kind, value)
        kind = value if name == "event" else kind if line else ""


@wrong(Chat, "events", "HTML 9.2.6: the blank line resets the event type")
def keeps_the_event_type(self: Chat, lines: Iterable[str]) -> Iterator[Event]:
    """Gives each event the type of an earlier one if it has none."""
    kind, data = "", []
    for line in lines:
        name, value = self.field(line) if line else ("", "")
        if name == "data":
            data.append(value)
        elif name == "event":
            kind = value
        elif not line and data:
            yield Event(kind, "\n".join(data))
            data = []


@wrong(Chat, "events", "HTML 9.2.6: if the data is empty, the blank line resets the event type too")
def keeps_the_type_of_an_event_without_data(self: Chat, lines: Iterable[str]) -> Iterator[Event]:
    """Resets the type only when it dispatches an event."""
    kind, data = "", []
    for line in lines:
        name, value = self.field(line) if line else ("", "")
        if name == "data":
            data.append(value)
        elif name == "event":
            kind = value
        elif not line and data:
            yield Event(kind, "\n".join(data))
            kind, data = "", []


@wrong(Chat, "events", "HTML 9.2.6: if the data is empty, nothing is dispatched")
def dispatches_without_data(self: Chat, lines: Iterable[str]) -> Iterator[Event]:
    """Parses the data of every block of lines, though it has none."""
    block: list[str] = []
    for line in lines:
        if line:
            block.append(line)
        elif block:
            fields = [self.field(line) for line in block]
            data = "\n".join(value for name, value in fields if name == "data")
            self.parsed("0" if data == "[DONE]" else data)
            yield Event(next((value for name, value in fields if name == "event"), ""), data)
            block = []


@wrong(Chat, "is_chunk", "HTML 9.2.6: an event without characters in its data has no message to parse")
def parses_empty_data(self: Chat, event: Event) -> bool:
    """Parses the data of an event though it is empty."""
    return event.type in ("", "message", "error")


@wrong(Chat, "is_chunk", "HTML 9.2.6: an event of another type goes to the listeners of that type")
def ignores_event_types(self: Chat, event: Event) -> bool:
    """Takes the data of every event for a chunk."""
    return bool(event.data.strip())


@wrong(Chat, "is_chunk", "HTML 9.2.6: `message` is the type of an event that names none")
def does_not_know_the_type_message(self: Chat, event: Event) -> bool:
    """Ignores events of the type `message`, as it ignores others."""
    return event.type != "message" and Chat.is_chunk(self, event)


@wrong(Chat, "is_done", "OpenAI's chat reference: the stream is terminated by a data: [DONE] message")
def finds_done_in_the_text(self: Chat, event: Event) -> bool:
    """Ends at `[DONE]` anywhere in the data, even within the answer."""
    return "[DONE]" in event.data
