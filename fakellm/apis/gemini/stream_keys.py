"""The keys of the `stream:` block that only Gemini has. Owns the values, not their effect."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

Content = Literal["text", "role", "empty", "null", "absent"]
Detail = Literal["prompt", "cached", "candidates"]


class GeminiKeys(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """How frames of the Gemini API are spelled, if it differs from the dialect's habit."""

    index: Annotated[bool | None, Meta(description="Whether the first candidate has `index: 0`.")] = None
    role: Annotated[
        Literal["first", "last", "never"] | None,
        Meta(description="Where the role stands in a content: before its parts, after them, or nowhere."),
    ] = None
    bare: Annotated[
        Content | None,
        Meta(
            description=(
                "The content of a candidate that finishes without parts: an empty `text`, only the `role`, an `empty` "
                "object, `null`, or none (`absent`)."
            )
        ),
    ] = None
    details: Annotated[
        tuple[Detail, ...] | None,
        Meta(description="Which token counts are repeated by modality, as `promptTokensDetails` does."),
    ] = None
    usage: Annotated[
        dict[str, Any] | None, Meta(description="Constants in the `usageMetadata`, such as `serviceTier: standard`.")
    ] = None
    between: Annotated[
        dict[str, Any] | None,
        Meta(description="The `usageMetadata` of frames without token counts, unless it is empty."),
    ] = None
    call_message: Annotated[
        bool | None,
        Meta(description="Whether a frame with a function call and a finish has Google's `finishMessage` for it."),
    ] = None
    signature: Annotated[
        Literal["beside", "after"] | None,
        Meta(
            description=(
                "Where the signature of a text is: `beside` its last piece, or `after` it, in a part with an empty "
                "text."
            )
        ),
    ] = None
    call_ids: Annotated[bool | None, Meta(description="Whether function calls without an id get a drawn one.")] = None
    stream_args: Annotated[
        bool | None,
        Meta(
            description=(
                "Whether the arguments of function calls are streamed, as `partialArgs`; by default as the request "
                "sets it with `streamFunctionCallArguments`."
            )
        ),
    ] = None
    indent: Annotated[
        Annotated[int, Meta(ge=0, le=8)] | None,
        Meta(description="By how many spaces a whole body is indented; 0 for one line."),
    ] = None
    enums: Annotated[
        Literal["names", "numbers"] | None,
        Meta(
            description=(
                "Whether enums are sent as words or as numbers; by default as the request sets it with "
                "`$alt=json;enum-encoding=int`."
            )
        ),
    ] = None
