"""What OpenAI's published description wants of each object that is sent, as JSON Schemas in our own words.

https://github.com/openai/openai-openapi: each schema here has the name of its clause in `components.schemas`. They say
what is required, what may be null and which types there are. Where OpenAI's own server does otherwise, we do as it does,
and the line says so.
"""

from __future__ import annotations

from typing import Any

JSON = dict[str, Any]

STRING: JSON = {"type": "string"}
INTEGER: JSON = {"type": "integer"}
NUMBER: JSON = {"type": "number"}
BOOLEAN: JSON = {"type": "boolean"}


def obj(required: JSON, **optional: JSON) -> JSON:
    return {"type": "object", "required": list(required), "properties": required | optional}


def array(items: JSON, **bounds: int) -> JSON:
    return {"type": "array", "items": items, **bounds}


def null_or(schema: JSON) -> JSON:
    return {"anyOf": [schema, {"type": "null"}]}


def one_of(*values: str) -> JSON:
    return {"enum": list(values)}


# Error: all four are required, of which two may be null.
ERROR = obj({"error": obj({"type": STRING, "message": STRING, "param": null_or(STRING), "code": null_or(STRING)})})

MODEL = obj({"id": STRING, "object": one_of("model"), "created": INTEGER, "owned_by": STRING})
MODELS = obj({"object": one_of("list"), "data": array(MODEL)})

# CompletionUsage: the details are optional.
USAGE = obj(
    {"prompt_tokens": INTEGER, "completion_tokens": INTEGER, "total_tokens": INTEGER},
    prompt_tokens_details=obj({}, cached_tokens=INTEGER, audio_tokens=INTEGER),
    completion_tokens_details=obj({}, reasoning_tokens=INTEGER, audio_tokens=INTEGER),
)

# ChatCompletionTokenLogprob: `bytes` is required, and may be null.
_TOKEN = {"token": STRING, "logprob": NUMBER, "bytes": null_or(array(INTEGER))}
TOKEN_LOGPROB = obj({**_TOKEN, "top_logprobs": array(obj(_TOKEN))})
LOGPROBS = null_or(obj({"content": null_or(array(TOKEN_LOGPROB)), "refusal": null_or(array(TOKEN_LOGPROB))}))

FINISH = one_of("stop", "length", "tool_calls", "content_filter", "function_call")
TIER = null_or(one_of("auto", "default", "flex", "scale", "priority"))

# ChatCompletionMessageToolCall, ChatCompletionResponseMessage: content and refusal are required, and may be null.
CALL = obj({"id": STRING, "type": one_of("function"), "function": obj({"name": STRING, "arguments": STRING})})
MESSAGE = obj(
    {"role": one_of("assistant"), "content": null_or(STRING), "refusal": null_or(STRING)},
    tool_calls=array(CALL, minItems=1),
    annotations=array(obj({"type": STRING})),
)

# CreateChatCompletionResponse: logprobs is required, and may be null.
CHAT = obj(
    {
        "id": STRING,
        "object": one_of("chat.completion"),
        "created": INTEGER,
        "model": STRING,
        "choices": array(
            obj({"index": INTEGER, "message": MESSAGE, "logprobs": LOGPROBS, "finish_reason": FINISH}), minItems=1
        ),
    },
    usage=USAGE,
    service_tier=TIER,
    system_fingerprint=null_or(STRING),
)

# ChatCompletionStreamResponseDelta, ChatCompletionMessageToolCallChunk: of a piece of a call the index alone is required.
CALL_PIECE = obj(
    {"index": INTEGER}, id=STRING, type=one_of("function"), function=obj({}, name=STRING, arguments=STRING)
)
DELTA = obj(
    {},
    role=one_of("assistant"),
    content=null_or(STRING),
    refusal=null_or(STRING),
    tool_calls=array(CALL_PIECE, minItems=1),
)

# CreateChatCompletionStreamResponse: finish_reason is required, and null in all chunks but a choice's last.
CHUNK = obj(
    {
        "id": STRING,
        "object": one_of("chat.completion.chunk"),
        "created": INTEGER,
        "model": STRING,
        "choices": array(obj({"index": INTEGER, "delta": DELTA, "finish_reason": null_or(FINISH)}, logprobs=LOGPROBS)),
    },
    usage=null_or(USAGE),
    service_tier=TIER,
    system_fingerprint=null_or(STRING),
)

# CreateCompletionResponse: logprobs is required, and may be null; streamed and whole objects have one shape. The clause
# wants a finish_reason in every chunk and numbers alone in logprobs; OpenAI sends null before the end (the clause's own
# example of a stream has it), and null for the first token of an echoed prompt.
TEXT_FINISH = one_of("stop", "length", "content_filter")
TEXT_LOGPROBS = obj(
    {},
    tokens=array(STRING),
    token_logprobs=array(null_or(NUMBER)),
    top_logprobs=array(null_or({"type": "object", "additionalProperties": NUMBER})),
    text_offset=array(INTEGER),
)


def _texts(finish: JSON, usage: JSON) -> JSON:
    choice = {"text": STRING, "index": INTEGER, "logprobs": null_or(TEXT_LOGPROBS), "finish_reason": finish}
    return obj(
        {
            "id": STRING,
            "object": one_of("text_completion"),
            "created": INTEGER,
            "model": STRING,
            "choices": array(obj(choice)),
        },
        usage=usage,
        system_fingerprint=STRING,
    )


TEXTS = _texts(TEXT_FINISH, USAGE)
TEXTS_CHUNK = _texts(null_or(TEXT_FINISH), null_or(USAGE))

# CreateEmbeddingResponse, Embedding: numbers, or the same in base64 where `encoding_format` asks for that.
EMBEDDINGS = obj(
    {
        "object": one_of("list"),
        "model": STRING,
        "data": array(
            obj(
                {
                    "object": one_of("embedding"),
                    "index": INTEGER,
                    "embedding": {"anyOf": [array(NUMBER, minItems=1), STRING]},
                }
            ),
            minItems=1,
        ),
        "usage": obj({"prompt_tokens": INTEGER, "total_tokens": INTEGER}),
    }
)

# CreateModerationResponse: the thirteen categories, all of them required in each of the three objects.
_PICTURES = ("self-harm", "self-harm/intent", "self-harm/instructions", "sexual", "violence", "violence/graphic")
_TEXT = (
    "hate",
    "hate/threatening",
    "harassment",
    "harassment/threatening",
    "illicit",
    "illicit/violent",
    "sexual/minors",
)
MODERATIONS = obj(
    {
        "id": STRING,
        "model": STRING,
        "results": array(
            obj(
                {
                    "flagged": BOOLEAN,
                    "categories": obj(dict.fromkeys((*_PICTURES, *_TEXT), BOOLEAN)),
                    "category_scores": obj(dict.fromkeys((*_PICTURES, *_TEXT), NUMBER)),
                    "category_applied_input_types": obj(
                        dict.fromkeys(_PICTURES, array(one_of("text", "image")))
                        | dict.fromkeys(_TEXT, array(one_of("text")))
                    ),
                }
            ),
            minItems=1,
        ),
    }
)
