// Runs Vercel's AI SDK: streamText() with one of its providers, `node ai_sdk.mjs openai` or `openai-compatible`; for
// other APIs, `openai-responses`, `anthropic` or `google`.
import { jsonSchema, streamText, tool } from "ai";
import { createAnthropic } from "@ai-sdk/anthropic";
import { createGoogleGenerativeAI } from "@ai-sdk/google";
import { createOpenAI } from "@ai-sdk/openai";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { run, usage } from "./loop.mjs";
import { functions, prompt } from "./request.mjs";

const PROVIDERS = {
  openai: (baseURL, model) => createOpenAI({ baseURL, apiKey: "any" }).chat(model),
  "openai-compatible": (baseURL, model) => {
    return createOpenAICompatible({ baseURL, apiKey: "any", name: "fake", includeUsage: true }).chatModel(model);
  },
  "openai-responses": (baseURL, model) => createOpenAI({ baseURL, apiKey: "any" }).responses(model),
  anthropic: (base, model) => createAnthropic({ baseURL: `${base}/v1`, apiKey: "any" })(model),
  google: (base, model) => createGoogleGenerativeAI({ baseURL: `${base}/v1beta`, apiKey: "any" })(model),
};
const WITHOUT_REASONING = ["openai", "openai-responses"]; // chat of OpenAI sends none; a summary is not compared
const REASONS = {
  end_turn: "stop", stop_sequence: "stop", tool_use: "tool_calls", max_tokens: "length", refusal: "content_filter",
  STOP: "stop", MAX_TOKENS: "length", SAFETY: "content_filter", max_output_tokens: "length",
};
const name = process.argv[2] ?? "openai";

await run(async (baseURL, request, timeout) => {
  const offered = functions(request).map(({ name, parameters }) => [name, tool({ inputSchema: jsonSchema(parameters) })]);
  const reply = streamText({
    model: PROVIDERS[name](baseURL, request.model ?? "fakellm"),
    prompt: prompt(request),
    tools: offered.length ? Object.fromEntries(offered) : undefined,
    maxOutputTokens: request.max_tokens,
    maxRetries: 0,
    abortSignal: AbortSignal.timeout(timeout),
    onError() {}, // the error is also a part of the stream
  });
  for await (const part of reply.fullStream) {
    if (part.type === "error") throw part.error;
    if (part.type === "abort") throw new Error(`aborted: ${part.reason ?? "timeout"}`);
  }
  const { inputTokens, outputTokens, outputTokenDetails, totalTokens } = await reply.usage;
  const thoughts = name === "google" ? (outputTokenDetails?.reasoningTokens ?? 0) : 0; // Gemini does not count them here
  return {
    content: await reply.text,
    ...(WITHOUT_REASONING.includes(name) ? {} : { reasoning: (await reply.reasoningText) ?? "" }),
    tool_calls: (await reply.toolCalls).map(({ toolName, input }) => {
      return { name: toolName, arguments: typeof input === "string" ? input : JSON.stringify(input) };
    }),
    finish_reason: await finishReason(reply),
    usage:
      inputTokens === undefined && outputTokens === undefined
        ? null
        : usage(inputTokens, outputTokens === undefined ? null : outputTokens - thoughts, totalTokens),
  };
});

// The provider's own word, since the SDK's word for a missing one is `interrupted`. Of Responses, the SDK passes one on
// only if the response is incomplete.
async function finishReason(reply) {
  const raw = await reply.rawFinishReason;
  if (raw) return REASONS[raw] ?? raw;
  const calls = (await reply.toolCalls).length;
  return name === "openai-responses" && (await reply.finishReason) === (calls ? "tool-calls" : "stop") ? "stop" : null;
}
