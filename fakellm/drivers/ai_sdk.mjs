// Runs Vercel's AI SDK: streamText() with one of its providers, `node ai_sdk.mjs openai` or `openai-compatible`.
import { jsonSchema, streamText, tool } from "ai";
import { createOpenAI } from "@ai-sdk/openai";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { run, usage } from "./loop.mjs";

const PROVIDERS = {
  openai: (baseURL, model) => createOpenAI({ baseURL, apiKey: "any" }).chat(model),
  "openai-compatible": (baseURL, model) => {
    return createOpenAICompatible({ baseURL, apiKey: "any", name: "fake", includeUsage: true }).chatModel(model);
  },
};
const name = process.argv[2] ?? "openai";

await run(async (baseURL, request, timeout) => {
  const offered = (request.tools ?? []).map(({ function: { name, description, parameters } }) => {
    return [name, tool({ description, inputSchema: jsonSchema(parameters ?? { type: "object" }) })];
  });
  const reply = streamText({
    model: PROVIDERS[name](baseURL, request.model),
    messages: request.messages,
    tools: offered.length ? Object.fromEntries(offered) : undefined,
    maxRetries: 0,
    abortSignal: AbortSignal.timeout(timeout),
    onError() {}, // the error is also a part of the stream
  });
  for await (const part of reply.fullStream) {
    if (part.type === "error") throw part.error;
    if (part.type === "abort") throw new Error(`aborted: ${part.reason ?? "timeout"}`);
  }
  const { inputTokens, outputTokens, totalTokens } = await reply.usage;
  return {
    content: await reply.text,
    ...(name === "openai" ? {} : { reasoning: (await reply.reasoningText) ?? "" }), // OpenAI's own API sends none
    tool_calls: (await reply.toolCalls).map(({ toolName, input }) => {
      return { name: toolName, arguments: typeof input === "string" ? input : JSON.stringify(input) };
    }),
    finish_reason: (await reply.rawFinishReason) ?? null, // its own word for a missing one is `interrupted`
    usage: inputTokens === undefined && outputTokens === undefined ? null : usage(inputTokens, outputTokens, totalTokens),
  };
});
