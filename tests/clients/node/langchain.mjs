// LangChain's chat models: invoke() and stream(), whose chunks are added up with concat(). `langchain.mjs PROVIDER`.
import { ChatAnthropic } from "@langchain/anthropic";
import { HumanMessage, ToolMessage } from "@langchain/core/messages";
import { ChatGoogleGenerativeAI } from "@langchain/google-genai";
import { ChatOllama } from "@langchain/ollama";
import { ChatOpenAI } from "@langchain/openai";
import { converse, serve } from "./tasks.mjs";

const PROVIDERS = {
  "openai-chat": (task) => openai(task, { useResponsesApi: false }),
  openai: (task) => openai(task, { useResponsesApi: true }),
  anthropic: ({ url, key, retries, thinking }) => new ChatAnthropic({
    model: "claude-sonnet-4-5",
    apiKey: key,
    maxRetries: retries,
    anthropicApiUrl: url,
    maxTokens: 4096,
    thinking: thinking ? { type: "enabled", budget_tokens: 1024 } : undefined,
  }),
  google: ({ url, key, retries, thinking }) => new ChatGoogleGenerativeAI({
    model: "gemini-2.5-flash",
    apiKey: key,
    maxRetries: retries,
    baseUrl: url,
    thinkingConfig: thinking ? { includeThoughts: true } : undefined,
  }),
  ollama: ({ url, key, retries, thinking }) => {
    const headers = { authorization: `Bearer ${key}` };
    return new ChatOllama({ model: "qwen3", baseUrl: url, headers, maxRetries: retries, think: thinking });
  },
};
const provider = process.argv[2];

function openai({ url, key, retries, thinking }, { useResponsesApi }) {
  return new ChatOpenAI({
    model: "gpt-5",
    apiKey: key,
    maxRetries: retries,
    configuration: { baseURL: `${url}/v1` },
    useResponsesApi,
    reasoning: thinking ? { effort: "low", ...(useResponsesApi ? { summary: "auto" } : {}) } : undefined,
  });
}

await serve(async (task) => {
  const { signal } = task;
  const model = PROVIDERS[provider](task);
  const messages = [new HumanMessage(task.prompt)];
  if (task.schema) {
    const options = { name: "answer", method: "jsonSchema", includeRaw: true };
    const structured = model.withStructuredOutput(task.schema, options);
    const { raw, parsed } = task.stream
      ? await lastOf(await structured.stream(messages, { signal }))
      : await structured.invoke(messages, { signal });
    return [{ ...answer(raw), value: parsed }];
  }
  const functions = task.tools?.map(({ result: _, ...tool }) => ({ type: "function", function: tool }));
  const bound = functions ? model.bindTools(functions) : model;
  const ask = async () => {
    const message = task.stream
      ? await added(await bound.stream(messages, { signal }), task)
      : await bound.invoke(messages, { signal });
    messages.push(message);
    return answer(message);
  };
  return converse(task, ask, (calls) => {
    messages.push(...calls.map(({ id, name, result }) => new ToolMessage({ tool_call_id: id, name, content: result })));
  });
});

async function added(stream, { piece }) {
  let whole;
  for await (const chunk of stream) {
    whole = whole ? whole.concat(chunk) : chunk;
    piece(chunk.text);
  }
  return whole;
}

async function lastOf(stream) {
  let whole = {};
  for await (const part of stream) whole = { ...whole, ...part };
  return whole;
}

// Thoughts are `reasoning` in contentBlocks; a whole reply of Google's has them only in its content, as `thinking`.
function thoughtIn(blocks) {
  return blocks.map(({ reasoning, thinking }) => reasoning ?? thinking).find(Boolean);
}

function answer({ text, content, contentBlocks, tool_calls, usage_metadata, additional_kwargs, response_metadata }) {
  const blocks = [...contentBlocks, ...(Array.isArray(content) ? content : [])];
  const { finish_reason, finishReason, done_reason, status } = response_metadata;
  return {
    text,
    reasoning: thoughtIn(blocks) ?? additional_kwargs.reasoning_content ?? "",
    refusal: additional_kwargs.refusal ?? "",
    calls: tool_calls.map(({ id, name, args }) => ({ id, name, arguments: args })),
    finish: finish_reason ?? finishReason ?? done_reason ?? additional_kwargs.stop_reason ?? status,
    usage: [usage_metadata?.input_tokens, usage_metadata?.output_tokens],
  };
}
