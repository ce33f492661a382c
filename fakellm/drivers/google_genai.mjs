// Runs the `@google/genai` package: generateContentStream(), its chunks added up by hand. For `fakellm fuzz --api gemini`.
import { GoogleGenAI } from "@google/genai";
import { run, usage } from "./loop.mjs";

const REASONS = { STOP: "stop", MAX_TOKENS: "length", SAFETY: "content_filter" };

await run(async (baseUrl, { contents, tools, generationConfig }, timeout) => {
  const client = new GoogleGenAI({ apiKey: "any", httpOptions: { baseUrl, timeout } });
  const config = { ...generationConfig, tools };
  const choices = [];
  let counts;
  for await (const chunk of await client.models.generateContentStream({ model: "fakellm", contents, config })) {
    if (chunk.usageMetadata?.totalTokenCount !== undefined) counts = chunk.usageMetadata;
    for (const candidate of chunk.candidates ?? []) add((choices[candidate.index ?? 0] ??= empty()), candidate);
  }
  const several = choices.filter(Boolean);
  return {
    ...(several[0] ?? empty()),
    usage: counts ? usage(counts.promptTokenCount, counts.candidatesTokenCount ?? 0, counts.totalTokenCount) : null,
    ...(several.length > 1 ? { choices: several } : {}),
  };
});

function empty() {
  return { content: "", reasoning: "", tool_calls: [], finish_reason: null };
}

function add(choice, { content, finishReason }) {
  for (const { text, thought, functionCall } of content?.parts ?? []) {
    if (functionCall) choice.tool_calls.push({ name: functionCall.name, arguments: functionCall.args ?? {} });
    else choice[thought ? "reasoning" : "content"] += text ?? "";
  }
  if (finishReason) choice.finish_reason = REASONS[finishReason] ?? finishReason;
}
