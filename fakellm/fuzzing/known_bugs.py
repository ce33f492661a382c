"""What has broken real clients, and where: the rows that steps and faults name. Owns the list; knows no step.

A row is something on the wire that a client misread, with threads in which that was reported: ``owner/repo#7`` is an
issue or a pull request of that repository on GitHub. Many of these clients have been fixed since;
docs/explanation/clients.md lists what their current releases get wrong.
"""

from __future__ import annotations

from msgspec import Struct


class Bug(Struct, frozen=True):
    """What was on the wire, and the threads about clients that broke on it; none if it was only measured."""

    what: str
    threads: tuple[str, ...] = ()

    @property
    def links(self) -> tuple[str, ...]:
        """The addresses of the threads."""
        return tuple("https://github.com/{}/issues/{}".format(*each.split("#")) for each in self.threads)


def _bug(what: str, threads: str = "") -> Bug:
    return Bug(what, tuple(threads.split()))


BUGS: dict[str, Bug] = {
    "A1": _bug("a read that ends inside a character", "api7/aisix#111 xberg-io/liter-llm#152 mastra-ai/mastra#20224"),
    "A2": _bug("a read that ends inside a line, or holds several events", "lobehub/lobehub#18640 graniet/llm#90"),
    "A3": _bug("lines that end with CR LF, or CR alone", "hey-api/hey-api#3054 openai/openai-ruby#670"),
    "A4": _bug(
        "no space after `data:`",
        "openai/openai-python#498 aaif-goose/goose#7929 sgl-project/genai-bench#159 huggingface/huggingface_hub#4536",
    ),
    "A5": _bug(
        "comments between events, to keep the connection alive",
        "mistralai/mistral-vibe#762 Azure/fetch-event-source#15",
    ),
    "A6": _bug(
        "a block without data after an `id:`",
        "theopenco/llmgateway#2334 mckinsey/agents-at-scale-ark#2519 florimondmanca/httpx-sse#35",
    ),
    "A7": _bug("`retry:` or `id:` alone in a block", "openai/openai-python#2722 openai/openai-python#3833"),
    "A8": _bug("an event with empty data, as a heartbeat", "netease-lcap/wave-agent#1326 caozhiyuan/copilot-api#88"),
    "A9": _bug("one JSON text over several `data:` lines", "SamSaffron/term-llm#454 modelscope/evalscope#1474"),
    "A10": _bug("a byte order mark before the first event", "openai/openai-python#3819 assistant-ui/assistant-ui#6954"),
    "A11": _bug("U+2028, U+0085 or a form feed inside a text", "openai/openai-python#1230 Soju06/codex-lb#1010"),
    "A12": _bug("events of a type that the client does not know", "anomalyco/opencode#38106 janhq/jan#8280"),
    "A13": _bug("a last event without the blank line after it", "openai/openai-node#2725 agentjido/req_llm#462"),
    "A14": _bug("a line longer than a reader's buffer", "openai/openai-go#368 zendev-sh/goai#70 mark3labs/mcp-go#61"),
    "A15": _bug("JSON spelled differently, or with unknown keys", "0xPlaygrounds/rig#1172 zed-industries/zed#42893"),
    "A16": _bug("the halves of an emoji in two chunks", "elie222/rakazo#416 Kohaku-Lab/KohakuTerrarium#48"),
    "A17": _bug("an unusual Content-Type, or none", "Azure/fetch-event-source#1 overcat/requests-sse#14"),
    "A18": _bug("a compressed stream", "btubbs/sseclient#36 envoyproxy/ai-gateway#1927 wso2/api-platform#3231"),
    "B1": _bug("a chunk with `choices: []`", "pydantic/pydantic-ai#164 run-llama/llama_index#7640 cline/cline#8384"),
    "B2": _bug(
        "a chunk with `choices: null`, or without `choices`",
        "pydantic/pydantic-ai#5165 langchain-ai/langchain#27886 ROCm/ATOM#1711",
    ),
    "B3": _bug("a choice with `delta: null`", "openai/openai-python#1677 langchain-ai/langchain#18977"),
    "B4": _bug("the role in every delta", "ollama/ollama#7626 BerriAI/litellm#9986"),
    "B5": _bug("no role anywhere, or an empty one", "langchain-ai/langchainjs#11468 Portkey-AI/gateway#1000"),
    "B6": _bug("deltas without content, many of them", "cline/cline#12132 sashabaranov/go-openai#71"),
    "B7": _bug("an empty finish reason before the last one", "sgl-project/sglang#3912 OpenSecretCloud/maple-proxy#3"),
    "B8": _bug(
        "the finish reason together with the last piece of text", "jeremychone/rust-genai#164 linagora/openrag#462"
    ),
    "B9": _bug("two finish reasons for one choice", "QwenLM/qwen-code#2402 skye-harris/hass_local_openai_llm#92"),
    "B10": _bug("more of an answer after its finish reason", "vercel-labs/fx#911 deepset-ai/haystack#9046"),
    "B11": _bug("no `[DONE]`", "lidge-jun/opencodex#1170"),
    "B12": _bug("a connection that stays open after `[DONE]`", "earendil-works/pi#7959 openai/openai-python#3566"),
    "B13": _bug("an id or a time that changes from chunk to chunk", "openai/openai-go#322 microsoft/foundry-local#221"),
    "B14": _bug("reasoning under one key or another", "BerriAI/litellm#8193 langchain-ai/langchain#37390"),
    "B15": _bug("a `<think>` tag that is cut in two", "waybarrios/vllm-mlx#677 InternLM/lmdeploy#4754"),
    "B16": _bug("content as a list of parts", "openclaw/openclaw#68418 meilisearch/meilisearch#6327"),
    "B17": _bug("a refusal in place of content", "langchain4j/langchain4j#6376 NousResearch/hermes-agent#91181"),
    "B18": _bug("log probabilities over several chunks", "openai/openai-node#2444 microsoft/autogen#7967"),
    "B19": _bug("several choices in alternation, or in one chunk", "langfuse/langfuse#16998 BerriAI/litellm#15962"),
    "B20": _bug("a choice's index that counts tokens", "huggingface/text-generation-inference#1648"),
    "C1": _bug("arguments cut anywhere", "assistant-ui/assistant-ui#6355 567-labs/instructor#1299"),
    "C2": _bug("whole calls, several in one delta", "BerriAI/litellm#7621 google/adk-python#7004 vercel/ai#2883"),
    "C3": _bug("the pieces of two calls in alternation", "QwenLM/Qwen-Agent#943 maximhq/bifrost#1829"),
    "C4": _bug("one call twice in one delta", "openai/openai-python#3201"),
    "C5": _bug("calls that do not count up from 0", "huggingface/smolagents#2605 BerriAI/litellm#32759"),
    "C6": _bug("calls without an index", "openai/openai-python#2806 ollama/ollama#7881 AstrBotDevs/AstrBot#6661"),
    "C7": _bug("index 0 for every parallel call", "ollama/ollama#15457 vercel/ai#14277 BerriAI/litellm#33678"),
    "C8": _bug("an id that changes within one call", "poolsideai/pool#9 NousResearch/hermes-agent#106943"),
    "C9": _bug("the id again on each piece of a call", "spring-projects/spring-ai#5974 JetBrains/koog#2052"),
    "C10": _bug(
        "empty ids, names, types on later pieces", "spring-projects/spring-ai#4629 microsoft/semantic-kernel#9601"
    ),
    "C11": _bug(
        "null ids, names, types on later pieces", "togethercomputer/together-python#454 anomalyco/opencode#32666"
    ),
    "C12": _bug("the name again on each piece of a call", "open-webui/open-webui#22177 SillyTavern/SillyTavern#5948"),
    "C13": _bug("a name that arrives late", "vercel/ai#14722 anomalyco/opencode#24137 earendil-works/pi#1867"),
    "C14": _bug("a call that opens without arguments", "CherryHQ/cherry-studio#3267 microsoft/semantic-kernel#9212"),
    "C15": _bug("a call without any arguments", "pydantic/pydantic-ai#1654 openai/openai-agents-js#664"),
    "C16": _bug("the finish reason `stop` after calls", "vercel/workflow#1387 BerriAI/litellm#12240"),
    "C17": _bug("arguments that look complete too early", "microsoft/autogen#7549 vercel/ai#13137"),
    "C18": _bug("arguments as an object, not as text", "ggml-org/llama.cpp#20198 can1357/oh-my-pi#1779"),
    "C19": _bug("empty `tool_calls` beside text", "BerriAI/litellm#2716 spring-projects/spring-ai#6504"),
    "C20": _bug("the finish reason `tool_calls` without a call", "jasonxu114514/opencode2api#27"),
    "C21": _bug("numbers beyond 2**53, deep nesting, many pieces", "earendil-works/pi#8943 earendil-works/pi#9062"),
    "C22": _bug(
        "an id that arrives after the first piece of its call",
        "pipecat-ai/pipecat#4987 Zoo-Code-Org/Zoo-Code#695 use-agent-os/agent-os#3171 XiaomiMiMo/MiMo-Code#2421",
    ),
    "D1": _bug("a running token count in every chunk", "open-webui/open-webui#29064 pydantic/pydantic-ai#5260"),
    "D2": _bug("usage that comes twice, or with the finish reason", "skye-harris/hass_local_openai_llm#92"),
    "D3": _bug(
        "usage that is null, empty or zero before the real one",
        "vercel/ai#2763 zed-industries/zed#42893 router-for-me/CLIProxyAPI#3077",
    ),
    "D4": _bug("usage inside a choice, or under other names", "earendil-works/pi#2017 AstrBotDevs/AstrBot#6614"),
    "D5": _bug("no usage although it was requested", "ding113/claude-code-hub#1165"),
    "E1": _bug("a stream that ends before the answer does", "pydantic/pydantic-ai#6610 BerriAI/litellm#40260"),
    "E2": _bug("arguments that are cut short", "langchain-ai/langchain#39275 langchain-ai/langchainjs#11469"),
    "E3": _bug("a call that looks complete, then the end of the stream", "NousResearch/hermes-agent#100160"),
    "E4": _bug("an error in place of a chunk", "BerriAI/litellm#40578 huggingface/huggingface.js#1079"),
    "E5": _bug("an error inside a chunk", "damianvtran/local-operator#223"),
    "E6": _bug("an error as plain text, or as an event of type `error`", "openai/openai-python#2943"),
    "E7": _bug(
        "a frame that is not valid JSON", "anomalyco/opencode#23442 SamSaffron/term-llm#448 BerriAI/litellm#9296"
    ),
    "E8": _bug("a stream without content", "openclaw/openclaw#12687 langchain-ai/deepagents#2905"),
    "E9": _bug("a finish reason that the client does not know", "microsoft/semantic-kernel#5289 symfony/ai#2194"),
    "F1": _bug(
        "a connection that is closed or reset during the answer", "openai/openai-python#3811 BerriAI/litellm#33222"
    ),
    "F2": _bug("a connection that is reset after the finish reason", "BerriAI/litellm#33222"),
    "F3": _bug("a retry after part of the text was shown", "aden-hive/hive#5923 HKUDS/nanobot#4038"),
    "F4": _bug("a server that stops sending", "MoonshotAI/kimi-code#1798 anomalyco/opencode#37580"),
    "F5": _bug("a stream that sends only comments", "anomalyco/opencode#43519"),
    "F6": _bug("429 with every kind of Retry-After", "openai/openai-python#3555 interviewstreet/hiring-agent#386"),
    "F7": _bug("statuses to retry, and others not to", "anomalyco/opencode#22511 vybestack/llxprt-code#1180"),
    "F8": _bug("an HTML page, an error or a whole body instead of a stream", "langchain-ai/langchain#35236"),
    "F9": _bug("a body that is not an answer", "pydantic/pydantic-ai#7909 decolua/9router#3492"),
    "F10": _bug(
        "a kept-alive connection that the server has closed", "spring-projects/spring-ai#6323 openai/codex#23807"
    ),
    "F11": _bug("a redirect, or no server at all"),
    "F12": _bug("a client that leaves: whether the server notices", "BerriAI/litellm#30245 HKUDS/LightRAG#3634"),
    "G1": _bug("Responses: another id of the item on each event", "BerriAI/litellm#30072 EricLBuehler/mistral.rs#1944"),
    "G2": _bug("Responses: no output in the last event", "NousResearch/hermes-agent#5689 sipeed/picoclaw#2674"),
    "G3": _bug("Responses: an event of an item that was not added", "openai/openai-python#2852 BerriAI/litellm#9545"),
    "G4": _bug("Responses: arguments without a delta", "BerriAI/litellm#27144 NVIDIA-NeMo/Switchyard#777"),
    "G5": _bug("Responses: a `keepalive` event", "openai/openai-node#1964 openai/openai-java#767"),
    "G6": _bug("Responses: an `error` event, nested or flat", "Menci/Floway#330 maximhq/bifrost#6302"),
    "G7": _bug("Responses: `response.failed` or `.incomplete`, or no end", "pipecat-ai/pipecat#5141 vinhnx/VTCode#731"),
    "G8": _bug("Responses: encrypted reasoning that differs by event", "langchain-ai/langchainjs#10845"),
    "G9": _bug("Responses: two messages in one answer", "langchain4j/langchain4j#6399 JetBrains/koog#1976"),
    "G10": _bug("Responses: gateways that leave keys out", "router-for-me/CLIProxyAPI#1681 BerriAI/litellm#28899"),
    "G11": _bug("Responses: a refusal, and citations", "BerriAI/litellm#39203"),
    "H1": _bug("Messages: usage at the start and at the end", "langchain-ai/langchainjs#10250 symfony/ai#2178"),
    "H2": _bug("Messages: an `error` event in the stream", "karthink/gptel#1512 unslothai/unsloth#10811"),
    "H3": _bug("Messages: an end without `message_stop`", "SamSaffron/term-llm#955 anomalyco/opencode#38733"),
    "H4": _bug("Messages: thinking without text, or redacted", "pipecat-ai/pipecat#5183 earendil-works/pi#4003"),
    "H5": _bug("Messages: a signature that is dropped", "turnstonelabs/turnstone#214 pensarai/apex#534"),
    "H6": _bug("Messages: an empty first piece of a call, or none", "Yeachan-Heo/gajae-code#1895 AntSeed/antseed#15"),
    "H7": _bug("Messages: input that is cut or not valid JSON", "QwenLM/qwen-code#9013 earendil-works/pi#3175"),
    "H8": _bug("Messages: `[DONE]` after the end", "anthropics/anthropic-sdk-csharp#202 earendil-works/pi#3708"),
    "H9": _bug("Messages: a ping, or a type nobody knows", "vercel/ai#383 strands-agents/harness-sdk#3568"),
    "H10": _bug("Messages: a delta of a block that is not open", "anthropics/anthropic-sdk-python#1273"),
    "I1": _bug("Gemini: an event cut over reads, or CR LF", "BerriAI/litellm#30224 0xPlaygrounds/rig#683"),
    "I2": _bug("Gemini: a call, then a finish without it", "envoyproxy/ai-gateway#2399 livekit/agents#4307"),
    "I3": _bug("Gemini: a signature on empty text", "prism-php/prism#830 rowboatlabs/rowboat#694"),
    "I4": _bug("Gemini: an error in place of an event", "diegosouzapw/OmniRoute#4177 danny-avila/LibreChat#5551"),
    "I5": _bug("Gemini: content without parts, or no candidate", "pydantic/pydantic-ai#631 inngest/agent-kit#178"),
    "I6": _bug("Gemini: usage on every event", "NousResearch/hermes-agent#15253 langchain-ai/langchainjs#11423"),
    "I7": _bug("Gemini: calls without ids", "brainlid/langchain#620 smallmain/vscode-unify-chat-provider#48"),
    "J1": _bug("Ollama: a line cut over reads, or several in one", "0xPlaygrounds/rig#1758 ollama/ollama#1728"),
    "J2": _bug("Ollama: calls before the last line, or on it", "BerriAI/litellm#35663 QuantumNous/new-api#7252"),
    "J3": _bug("Ollama: calls without an id, all with index 0", "BerriAI/litellm#37792"),
}
