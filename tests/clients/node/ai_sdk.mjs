// Vercel's AI SDK: generateText() and streamText(), which run the tools themselves. `ai_sdk.mjs PROVIDER`.
import { generateText, isStepCount, jsonSchema, Output, streamText, tool } from "ai";
import { createAnthropic } from "@ai-sdk/anthropic";
import { createGoogle } from "@ai-sdk/google";
import { createOpenAI } from "@ai-sdk/openai";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { serve } from "./tasks.mjs";

const PROVIDERS = {
  "openai-chat": ({ url, key }) => createOpenAI({ baseURL: `${url}/v1`, apiKey: key }).chat("gpt-5"),
  "openai-compatible": ({ url, key }) => {
    const options = { name: "fake", includeUsage: true, supportsStructuredOutputs: true };
    return createOpenAICompatible({ baseURL: `${url}/v1`, apiKey: key, ...options })("deepseek-chat");
  },
  openai: ({ url, key }) => createOpenAI({ baseURL: `${url}/v1`, apiKey: key })("gpt-5"),
  anthropic: ({ url, key }) => createAnthropic({ baseURL: `${url}/v1`, apiKey: key })("claude-sonnet-4-5"),
  google: ({ url, key }) => createGoogle({ baseURL: `${url}/v1beta`, apiKey: key })("gemini-2.5-flash"),
};
const THINKING = {
  "openai-chat": { openai: { reasoningEffort: "low" } },
  "openai-compatible": { fake: { reasoningEffort: "low" } },
  openai: { openai: { reasoningEffort: "low", reasoningSummary: "auto" } },
  anthropic: { anthropic: { thinking: { type: "enabled", budgetTokens: 1024 } } },
  google: { google: { thinkingConfig: { includeThoughts: true } } },
};
const provider = process.argv[2];

await serve(async (task) => {
  const tools = task.tools?.map(({ name, description, parameters, result }) => {
    return [name, tool({ description, inputSchema: jsonSchema(parameters), execute: () => result })];
  });
  const options = {
    model: PROVIDERS[provider](task),
    prompt: task.prompt,
    tools: tools && Object.fromEntries(tools),
    stopWhen: isStepCount(5),
    output: task.schema && Output.object({ schema: jsonSchema(task.schema), name: "answer" }),
    providerOptions: task.thinking ? THINKING[provider] : undefined,
    maxRetries: task.retries,
    abortSignal: task.signal,
  };
  const reply = task.stream ? await streamed(options, task) : await generateText(options);
  const steps = await reply.steps;
  return Promise.all(steps.map(async (step) => answer(step, task.schema && (await reply.output))));
});

async function streamed(options, { piece }) {
  const reply = streamText({ ...options, onError() {} }); // the error is also a part of the stream
  for await (const part of reply.stream) {
    if (part.type === "text-delta") piece(part.text);
    if (part.type === "error") throw part.error;
    if (part.type === "abort") throw new DOMException(part.reason ?? "aborted", "AbortError");
  }
  return reply;
}

function answer(step, value) {
  const call = ({ toolCallId, toolName, input }) => ({ id: toolCallId, name: toolName, arguments: input });
  return {
    text: step.text,
    reasoning: step.reasoningText ?? "",
    calls: step.toolCalls.map(call),
    finish: step.finishReason,
    sources: step.sources.map(({ url }) => url),
    results: step.toolResults.map(({ toolName }) => toolName),
    usage: [step.usage.inputTokens, step.usage.outputTokens],
    value,
  };
}
