// Runs the `openai` package for Node: the helper chat.completions.stream(), which adds up the chunks itself.
import OpenAI from "openai";
import { run, usage } from "./loop.mjs";

await run(async (baseURL, request, timeout) => {
  const client = new OpenAI({ baseURL, apiKey: "any", maxRetries: 0, timeout });
  const completion = await client.chat.completions.stream(request).finalChatCompletion();
  const choices = completion.choices.map(({ message, finish_reason }) => ({
    content: message.content ?? "",
    refusal: message.refusal ?? "",
    tool_calls: (message.tool_calls ?? []).map((call) => ({ ...call.function })),
    finish_reason,
  }));
  const used = completion.usage;
  return {
    ...choices[0],
    usage: used ? usage(used.prompt_tokens, used.completion_tokens, used.total_tokens) : null,
    ...(choices.length > 1 ? { choices } : {}),
  };
});
