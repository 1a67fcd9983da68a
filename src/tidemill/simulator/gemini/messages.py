"""The messages of Gemini's API and their fields.

Checked against what google-genai 3.4 sends to the Gemini API.
"""

from tidemill.simulator.gemini.proto import (
    Message,
    anything,
    boolean,
    decimal,
    enum,
    integer,
    many,
    mapped,
    octets,
    string,
    struct,
)

_TYPES = ("TYPE_UNSPECIFIED", "STRING", "NUMBER", "INTEGER", "BOOLEAN", "ARRAY", "OBJECT", "NULL")
_HARMS = (
    "HARM_CATEGORY_UNSPECIFIED",
    "HARM_CATEGORY_HARASSMENT",
    "HARM_CATEGORY_HATE_SPEECH",
    "HARM_CATEGORY_SEXUALLY_EXPLICIT",
    "HARM_CATEGORY_DANGEROUS_CONTENT",
    "HARM_CATEGORY_CIVIC_INTEGRITY",
)
_THRESHOLDS = (
    "HARM_BLOCK_THRESHOLD_UNSPECIFIED",
    "BLOCK_LOW_AND_ABOVE",
    "BLOCK_MEDIUM_AND_ABOVE",
    "BLOCK_ONLY_HIGH",
    "BLOCK_NONE",
    "OFF",
)

SCHEMA = Message(
    "Schema",
    {
        "type": enum("Type", *_TYPES),
        "format": string,
        "title": string,
        "description": string,
        "nullable": boolean,
        "default": anything,
        "enum": many(string),
        "maxItems": integer,
        "minItems": integer,
        "required": many(string),
        "minProperties": integer,
        "maxProperties": integer,
        "minimum": decimal,
        "maximum": decimal,
        "minLength": integer,
        "maxLength": integer,
        "pattern": string,
        "example": anything,
        "propertyOrdering": many(string),
    },
)
SCHEMA.add({"items": SCHEMA, "anyOf": many(SCHEMA), "properties": mapped(SCHEMA)})

_BLOB = Message("Blob", {"mimeType": string, "data": octets, "displayName": string})
_FILE = Message("FileData", {"mimeType": string, "fileUri": string, "displayName": string})
_CALL = Message(
    "FunctionCall", {"id": string, "name": string, "args": struct, "partialArgs": anything, "willContinue": boolean}
)
_RESPONSE_PART = Message("FunctionResponsePart", {"inlineData": _BLOB, "fileData": _FILE})
_RESPONSE = Message(
    "FunctionResponse",
    {
        "id": string,
        "name": string,
        "response": struct,
        "willContinue": boolean,
        "scheduling": string,
        "parts": many(_RESPONSE_PART),
    },
)
DATA_FIELDS = (
    "text",
    "inlineData",
    "functionCall",
    "functionResponse",
    "fileData",
    "executableCode",
    "codeExecutionResult",
    "toolCall",
    "toolResponse",
)
"""The fields of a part of which it has exactly one."""

_PART = Message(
    "Part",
    {
        "text": string,
        "inlineData": _BLOB,
        "fileData": _FILE,
        "functionCall": _CALL,
        "functionResponse": _RESPONSE,
        "executableCode": struct,
        "codeExecutionResult": struct,
        "toolCall": struct,
        "toolResponse": struct,
        "thought": boolean,
        "thoughtSignature": octets,
        "videoMetadata": struct,
        "mediaResolution": anything,
        "partMetadata": struct,
    },
)
CONTENT = Message("Content", {"role": string, "parts": many(_PART)})

_THINKING = Message(
    "ThinkingConfig",
    {
        "includeThoughts": boolean,
        "thinkingBudget": integer,
        "thinkingLevel": enum(
            "ThinkingLevel", "THINKING_LEVEL_UNSPECIFIED", "MINIMAL", "LOW", "MEDIUM", "HIGH", "XHIGH"
        ),
    },
)
_GENERATION = Message(
    "GenerationConfig",
    {
        "candidateCount": integer,
        "stopSequences": many(string),
        "maxOutputTokens": integer,
        "temperature": decimal,
        "topP": decimal,
        "topK": integer,
        "seed": integer,
        "presencePenalty": decimal,
        "frequencyPenalty": decimal,
        "responseLogprobs": boolean,
        "logprobs": integer,
        "responseMimeType": string,
        "responseSchema": SCHEMA,
        "responseJsonSchema": anything,
        "_responseJsonSchema": anything,
        "responseFormat": anything,
        "responseModalities": many(string),
        "speechConfig": struct,
        "imageConfig": struct,
        "thinkingConfig": _THINKING,
        "mediaResolution": string,
        "enableEnhancedCivicAnswers": boolean,
        "translationConfig": struct,
        "audioTranscriptionConfig": struct,
    },
)
_DECLARATION = Message(
    "FunctionDeclaration",
    {
        "name": string,
        "description": string,
        "parameters": SCHEMA,
        "parametersJsonSchema": anything,
        "response": SCHEMA,
        "responseJsonSchema": anything,
        "behavior": enum("Behavior", "UNSPECIFIED", "BLOCKING", "NON_BLOCKING"),
    },
)
_TOOL = Message(
    "Tool",
    {
        "functionDeclarations": many(_DECLARATION),
        "googleSearch": struct,
        "googleSearchRetrieval": struct,
        "googleMaps": struct,
        "codeExecution": struct,
        "urlContext": struct,
        "computerUse": struct,
        "fileSearch": struct,
        "mcpServers": anything,
    },
)
_CALLING = Message(
    "FunctionCallingConfig",
    {
        "mode": enum("Mode", "MODE_UNSPECIFIED", "AUTO", "ANY", "NONE", "VALIDATED"),
        "allowedFunctionNames": many(string),
        "streamFunctionCallArguments": boolean,
    },
)
_TOOL_CONFIG = Message(
    "ToolConfig",
    {"functionCallingConfig": _CALLING, "retrievalConfig": struct, "includeServerSideToolInvocations": boolean},
)
_SAFETY = Message(
    "SafetySetting", {"category": enum("HarmCategory", *_HARMS), "threshold": enum("HarmBlockThreshold", *_THRESHOLDS)}
)

GENERATE = Message(
    "GenerateContentRequest",
    {
        "model": string,
        "contents": many(CONTENT),
        "systemInstruction": CONTENT,
        "tools": many(_TOOL),
        "toolConfig": _TOOL_CONFIG,
        "safetySettings": many(_SAFETY),
        "generationConfig": _GENERATION,
        "cachedContent": string,
        "serviceTier": string,
        "store": boolean,
    },
)
COUNT = Message("CountTokensRequest", {"contents": many(CONTENT), "generateContentRequest": GENERATE})
EMBED = Message(
    "EmbedContentRequest",
    {
        "model": string,
        "content": CONTENT,
        "taskType": enum(
            "TaskType",
            "TASK_TYPE_UNSPECIFIED",
            "RETRIEVAL_QUERY",
            "RETRIEVAL_DOCUMENT",
            "SEMANTIC_SIMILARITY",
            "CLASSIFICATION",
            "CLUSTERING",
            "QUESTION_ANSWERING",
            "FACT_VERIFICATION",
            "CODE_RETRIEVAL_QUERY",
        ),
        "title": string,
        "outputDimensionality": integer,
    },
)
EMBED_MANY = Message("BatchEmbedContentsRequest", {"requests": many(EMBED)})
