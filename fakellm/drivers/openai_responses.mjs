// Runs the `openai` package for Node: the helper responses.stream(), which adds up the events itself.
// `node openai_responses.mjs` starts it; it is for `fakellm fuzz --api responses`.
import OpenAI from "openai";
import { run, usage } from "./loop.mjs";

const REASONS = { max_output_tokens: "length", content_filter: "content_filter" };

await run(async (baseURL, { stream: _, ...request }, timeout) => {
  const client = new OpenAI({ baseURL, apiKey: "any", maxRetries: 0, timeout });
  const response = await client.responses.stream(request).finalResponse();
  if (!["completed", "incomplete"].includes(response.status)) throw new Error(`the response is ${response.status}`);
  const parts = response.output.filter(({ type }) => type === "message").flatMap(({ content }) => content);
  const thoughts = response.output.filter(({ type }) => type === "reasoning").flatMap(({ content }) => content ?? []);
  const calls = response.output.filter(({ type }) => ["function_call", "custom_tool_call"].includes(type));
  const counts = response.usage;
  return {
    content: parts.map(({ text }) => text ?? "").join(""),
    refusal: parts.map(({ refusal }) => refusal ?? "").join(""),
    reasoning: thoughts.map(({ text }) => text).join(""),
    tool_calls: calls.map((call) => ({ name: call.name, arguments: call.arguments ?? call.input })),
    finish_reason: REASONS[response.incomplete_details?.reason] ?? (calls.length ? "tool_calls" : "stop"),
    usage: counts ? usage(counts.input_tokens, counts.output_tokens, counts.total_tokens) : null,
  };
});
