// Runs LangChain: stream() of a chat model, its chunks added up with concat. `node langchain.mjs` starts it with
// @langchain/openai; for other APIs, `node langchain.mjs anthropic`, `google` or `ollama`.
import { run, usage } from "./loop.mjs";
import { functions, prompt } from "./request.mjs";

const MODELS = {
  async openai(baseURL, model, timeout) {
    const { ChatOpenAI } = await import("@langchain/openai");
    const options = { configuration: { baseURL }, streamUsage: true, useResponsesApi: false };
    return new ChatOpenAI({ model, apiKey: "any", maxRetries: 0, timeout, ...options });
  },
  async anthropic(baseURL, model, timeout) {
    const { ChatAnthropic } = await import("@langchain/anthropic");
    return new ChatAnthropic({ model, apiKey: "any", maxRetries: 0, clientOptions: { baseURL, timeout, maxRetries: 0 } });
  },
  async google(baseUrl, model) {
    const { ChatGoogleGenerativeAI } = await import("@langchain/google-genai");
    return new ChatGoogleGenerativeAI({ model, apiKey: "any", maxRetries: 0, baseUrl });
  },
  async ollama(baseUrl, model) {
    const { ChatOllama } = await import("@langchain/ollama");
    return new ChatOllama({ model, maxRetries: 0, baseUrl, think: true });
  },
};
const REASONS = {
  end_turn: "stop", stop_sequence: "stop", tool_use: "tool_calls", max_tokens: "length", refusal: "content_filter",
  STOP: "stop", MAX_TOKENS: "length", SAFETY: "content_filter",
};
const WITHOUT_TIMEOUT = ["google", "ollama"]; // their packages have no option for it
const name = process.argv[2] ?? "openai";

await run(async (base, request, timeout) => {
  const chat = await MODELS[name](base, request.model ?? "fakellm", timeout);
  const tools = functions(request).map((each) => ({ type: "function", function: each }));
  const bound = tools.length ? chat.bindTools(tools) : chat;
  let whole;
  const options = WITHOUT_TIMEOUT.includes(name) ? { signal: AbortSignal.timeout(timeout) } : {};
  for await (const chunk of await bound.stream(prompt(request), options)) whole = whole ? whole.concat(chunk) : chunk;
  if (!whole) return { content: "", finish_reason: null };
  const used = whole.usage_metadata;
  const { finish_reason, finishReason, stop_reason, done_reason } = whole.response_metadata;
  const reason = finish_reason ?? finishReason ?? whole.additional_kwargs.stop_reason ?? stop_reason ?? done_reason;
  return {
    content: whole.text, // works for a content that is a list of parts too
    refusal: whole.additional_kwargs.refusal ?? "",
    tool_calls: (whole.tool_calls ?? []).map(({ name, args }) => ({ name, arguments: JSON.stringify(args) })),
    finish_reason: REASONS[reason] ?? reason ?? null,
    // @langchain/anthropic counts the output of `message_start` twice, so its usage is wrong on every wire.
    ...(name === "anthropic" ? {} : { usage: used ? usage(used.input_tokens, used.output_tokens, used.total_tokens) : null }),
  };
});
