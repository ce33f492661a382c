// Runs @langchain/openai: ChatOpenAI.stream(), its chunks added up with concat.
import { ChatOpenAI } from "@langchain/openai";
import { run, usage } from "./loop.mjs";

await run(async (baseURL, { model, messages, tools }, timeout) => {
  const chat = new ChatOpenAI({
    model, apiKey: "any", maxRetries: 0, timeout, configuration: { baseURL }, streamUsage: true, useResponsesApi: false,
  });
  const bound = tools ? chat.bindTools(tools) : chat;
  let whole;
  for await (const chunk of await bound.stream(messages)) whole = whole ? whole.concat(chunk) : chunk;
  if (!whole) return { content: "", finish_reason: null };
  const used = whole.usage_metadata;
  return {
    content: whole.text, // works for a content that is a list of parts too
    refusal: whole.additional_kwargs.refusal ?? "",
    tool_calls: (whole.tool_calls ?? []).map(({ name, args }) => ({ name, arguments: JSON.stringify(args) })),
    finish_reason: whole.response_metadata.finish_reason ?? null,
    usage: used ? usage(used.input_tokens, used.output_tokens, used.total_tokens) : null,
  };
});
