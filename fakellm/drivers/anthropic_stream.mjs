// Runs the `@anthropic-ai/sdk` package: the helper messages.stream(), which adds up the events itself.
// `node anthropic_stream.mjs` starts it; it is for `fakellm fuzz --api messages`.
import Anthropic from "@anthropic-ai/sdk";
import { run, usage } from "./loop.mjs";

const REASONS = {
  end_turn: "stop", stop_sequence: "stop", max_tokens: "length", tool_use: "tool_calls", refusal: "content_filter",
};

await run(async (base, { stream: _, ...request }, timeout) => {
  const client = new Anthropic({ baseURL: base.replace(/\/v1$/, ""), apiKey: "any", maxRetries: 0, timeout });
  const message = await client.messages.stream(request).finalMessage();
  const texts = (type) => message.content.filter((block) => block.type === type).map((block) => block[type]).join("");
  const { input_tokens, cache_read_input_tokens, cache_creation_input_tokens, output_tokens } = message.usage;
  const prompt = input_tokens + (cache_read_input_tokens ?? 0) + (cache_creation_input_tokens ?? 0);
  return {
    content: texts("text"),
    reasoning: texts("thinking"),
    tool_calls: message.content
      .filter(({ type }) => type === "tool_use")
      .map(({ name, input }) => ({ name, arguments: JSON.stringify(input) })),
    finish_reason: REASONS[message.stop_reason] ?? message.stop_reason,
    usage: usage(prompt, output_tokens, prompt + output_tokens),
  };
});
