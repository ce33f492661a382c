"""The fields of a request, as Google's protos have them, by message. Data only.

A kind is a scalar (`string`, `bool`, `int`, `number`), `any`, a message, `enum` and its words, `[kind]` for a list or
`{kind}` for a map. Messages of which fakellm reads nothing are `any`.
https://ai.google.dev/api/generate-content, https://ai.google.dev/api/caching#Content, and for what only Vertex AI has
https://cloud.google.com/vertex-ai/generative-ai/docs/reference/rest/v1/projects.locations.endpoints/generateContent
"""

from __future__ import annotations

REQUEST = "GenerateContentRequest"
COUNT = "CountTokensRequest"
EMBED = "EmbedContentRequest"
BATCH_EMBED = "BatchEmbedContentsRequest"

TYPES = ("TYPE_UNSPECIFIED", "STRING", "NUMBER", "INTEGER", "BOOLEAN", "ARRAY", "OBJECT", "NULL")
MODES = ("MODE_UNSPECIFIED", "AUTO", "ANY", "NONE", "VALIDATED")
LEVELS = ("THINKING_LEVEL_UNSPECIFIED", "MINIMAL", "LOW", "MEDIUM", "HIGH", "XHIGH")
ENUMS = {"Type": TYPES, "FunctionCallingConfig.Mode": MODES, "ThinkingConfig.ThinkingLevel": LEVELS}


def _all(names: str, kind: str = "any") -> dict[str, str]:
    return dict.fromkeys(names.split(), kind)


FIELDS: dict[str, dict[str, str]] = {
    REQUEST: {
        "contents": "[Content]",
        "systemInstruction": "Content",
        "tools": "[Tool]",
        "toolConfig": "ToolConfig",
        "generationConfig": "GenerationConfig",
        "safetySettings": "[any]",
        "labels": "{string}",
        "store": "bool",
        **_all("model cachedContent", "string"),
        **_all("modelArmorConfig serviceTier"),
    },
    COUNT: {
        "contents": "[Content]",
        "generateContentRequest": REQUEST,
        "model": "string",
        "systemInstruction": "Content",
        "tools": "[Tool]",
        "generationConfig": "GenerationConfig",
        "instances": "[any]",
    },
    EMBED: {
        "model": "string",
        "content": "Content",
        "title": "string",
        "outputDimensionality": "int",
        "taskType": "any",
        "embedContentConfig": "EmbedContentConfig",
    },
    "EmbedContentConfig": {
        "outputDimensionality": "int",
        "title": "string",
        **_all("taskType autoTruncate documentOcr audioTrackExtraction"),
    },
    BATCH_EMBED: {"requests": f"[{EMBED}]", "model": "string"},
    "Content": {"parts": "[Part]", "role": "string"},
    "Part": {
        "text": "string",
        "thought": "bool",
        "thoughtSignature": "string",
        "functionCall": "FunctionCall",
        "functionResponse": "FunctionResponse",
        **_all("inlineData fileData executableCode codeExecutionResult toolCall toolResponse"),
        **_all("videoMetadata mediaResolution partMetadata mediaProcessing audioTranscription"),
    },
    "FunctionCall": {"name": "string", "args": "any", "id": "string", "partialArgs": "[any]", "willContinue": "bool"},
    "FunctionResponse": {
        "name": "string",
        "response": "any",
        "id": "string",
        "parts": "[any]",
        "willContinue": "bool",
        "scheduling": "any",
    },
    "Tool": {
        "functionDeclarations": "[FunctionDeclaration]",
        **_all("googleSearch googleSearchRetrieval googleMaps codeExecution urlContext computerUse fileSearch"),
        **_all("mcpServers retrieval enterpriseWebSearch parallelAiSearch exaAiSearch"),
    },
    "FunctionDeclaration": {
        **_all("name description", "string"),
        **_all("parameters response", "Schema"),
        **_all("parametersJsonSchema responseJsonSchema behavior"),
    },
    "ToolConfig": {
        "functionCallingConfig": "FunctionCallingConfig",
        "includeServerSideToolInvocations": "bool",
        "retrievalConfig": "any",
    },
    "FunctionCallingConfig": {
        "mode": "enum FunctionCallingConfig.Mode",
        "allowedFunctionNames": "[string]",
        "streamFunctionCallArguments": "bool",
    },
    "GenerationConfig": {
        "stopSequences": "[string]",
        "responseMimeType": "string",
        "responseSchema": "Schema",
        "thinkingConfig": "ThinkingConfig",
        **_all("candidateCount maxOutputTokens seed logprobs", "int"),
        **_all("temperature topP topK presencePenalty frequencyPenalty", "number"),
        **_all("responseLogprobs audioTimestamp enableEnhancedCivicAnswers enableAffectiveDialog", "bool"),
        **_all("responseJsonSchema responseModalities mediaResolution speechConfig imageConfig routingConfig"),
        **_all("modelConfig modelSelectionConfig responseFormat translationConfig audioTranscriptionConfig"),
    },
    "ThinkingConfig": {
        "includeThoughts": "bool",
        "thinkingBudget": "int",
        "thinkingLevel": "enum ThinkingConfig.ThinkingLevel",
    },
    "Schema": {
        "type": "enum Type",
        "nullable": "bool",
        "items": "Schema",
        "anyOf": "[Schema]",
        "properties": "{Schema}",
        "defs": "{Schema}",
        **_all("format title description pattern ref", "string"),
        **_all("enum required propertyOrdering", "[string]"),
        **_all("minItems maxItems minProperties maxProperties minLength maxLength", "int"),
        **_all("minimum maximum", "number"),
        **_all("example default additionalProperties"),
    },
}
DATA = (
    "text",
    "inlineData",
    "fileData",
    "functionCall",
    "functionResponse",
    "executableCode",
    "codeExecutionResult",
    "toolCall",
    "toolResponse",
)
"""What a part can be; it must be one of these."""
