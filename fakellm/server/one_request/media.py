"""Finds what in a request is not text, such as images, and marks its place, so that an API's own parser keeps that.

Owns how each API writes them. Knows no messages.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from msgspec import Struct


class Media(Struct, frozen=True, kw_only=True, tag="media"):
    """An image, a sound or a file in a message. `bytes`: its size, if it was sent; None if the request has only its URL
    or id, `url`."""

    media_type: str | None = None
    bytes: int | None = None
    url: str | None = None


_BEGIN = "\ue0ff"
_MARK = _BEGIN + "{}\ue0fe"
"""Stands for a medium in a text: private characters around its number."""

MARKS = re.compile(_BEGIN + "([0-9]+)\ue0fe")


def marked(body: dict[str, Any], api: str) -> tuple[dict[str, Any], list[Media]]:
    """The body of a request with a text in place of each medium, and the media, by the numbers in these texts."""
    media: list[Media] = []

    def text(found: Media) -> str:
        media.append(found)
        return _MARK.format(len(media) - 1)

    def walked(value: Any) -> Any:
        if isinstance(value, list):
            return [walked(item) for item in value]
        if not isinstance(value, dict):
            return MARKS.sub("", value).replace(_BEGIN, "") if isinstance(value, str) else value
        if (found := _medium(value)) is not None:
            return {**_TEXTS.get(api, {"type": "text"}), "text": text(found)}
        parts = {key: walked(item) for key, item in value.items()}
        return with_images(parts) if api == "ollama" else parts

    def with_images(message: dict[str, Any]) -> dict[str, Any]:
        """A message of Ollama's with its images, or the body of a prompt with them, in its text."""
        images = message.pop("images", None)
        if isinstance(images, list):
            key = "prompt" if "prompt" in message else "content"
            message[key] = "".join(text(Media(bytes=_size(image))) for image in images) + str(message.get(key) or "")
        return message

    parts = {key: walked(value) if key in _CONVERSATIONS else value for key, value in body.items()}
    return with_images(parts) if api == "ollama" else parts, media


_CONVERSATIONS = frozenset(
    ("messages", "input", "contents", "prompt", "system", "instructions", "systemInstruction", "system_instruction")
)
"""The fields of bodies that have the conversation, in one API or another."""

_TEXTS: dict[str, dict[str, str]] = {"responses": {"type": "input_text"}, "gemini": {}}
"""The other keys of a text's part, in APIs where they are not those of chat."""


def _medium(part: dict[str, Any]) -> Media | None:
    """The medium that a part of a message is; None for any other part."""
    for found in (*_of_openai(part), *_of_anthropic(part), *_of_google(part)):
        return found
    return None


def _of_openai(part: dict[str, Any]) -> Iterator[Media]:
    """https://platform.openai.com/docs/guides/images-vision, and /pdf-files, /audio"""
    kind = part.get("type")
    if kind in ("image_url", "input_image", "video_url"):
        value = part.get("image_url") or part.get("video_url") or part.get("file_id")
        yield _at(value.get("url") if isinstance(value, dict) else value)
    elif kind == "input_audio" and isinstance(sound := part.get("input_audio"), dict):
        yield Media(media_type=f"audio/{sound.get('format', 'wav')}", bytes=_size(sound.get("data")))
    elif kind in ("file", "input_file"):
        file = part.get("file") if isinstance(part.get("file"), dict) else part
        assert isinstance(file, dict)
        yield _at(file.get("file_data") or file.get("file_url") or file.get("file_id"))


def _of_anthropic(part: dict[str, Any]) -> Iterator[Media]:
    """https://docs.claude.com/en/docs/build-with-claude/vision"""
    source = part.get("source")
    if part.get("type") in ("image", "document") and isinstance(source, dict):
        if source.get("type") in ("base64", "text"):
            data = source.get("data")
            size = _size(data) if source["type"] == "base64" else len(str(data).encode("utf-8", "replace"))
            yield Media(media_type=_text(source.get("media_type")), bytes=size)
        else:
            yield Media(url=_text(source.get("url") or source.get("file_id")))


def _of_google(part: dict[str, Any]) -> Iterator[Media]:
    """https://ai.google.dev/api/caching#Part"""
    for key in ("inlineData", "inline_data", "fileData", "file_data"):
        if isinstance(data := part.get(key), dict):
            kind = _text(data.get("mimeType") or data.get("mime_type"))
            url = _text(data.get("fileUri") or data.get("file_uri"))
            yield Media(media_type=kind, bytes=_size(data.get("data")), url=url)


def _at(url: Any) -> Media:
    """The medium at a URL, or in a `data:` URL (RFC 2397), or with an id."""
    if not isinstance(url, str):
        return Media()
    if not url.startswith("data:"):
        return Media(url=url)
    head, _, data = url[len("data:") :].partition(",")
    kind = head.partition(";")[0] or "text/plain"
    return Media(media_type=kind, bytes=_size(data) if head.endswith(";base64") else len(data))


def _size(data: Any) -> int | None:
    """How many bytes a text in base64 stands for."""
    if not isinstance(data, str):
        return None
    return len(data.rstrip("=")) * 3 // 4


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None
