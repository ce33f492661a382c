// @anthropic-ai/sdk: parse() and the helper stream().
import Anthropic from "@anthropic-ai/sdk";
import { jsonSchemaOutputFormat } from "@anthropic-ai/sdk/helpers/json-schema";
import { converse, serve } from "./tasks.mjs";

await serve(async (task) => {
  const client = new Anthropic({ baseURL: task.url, apiKey: task.key, maxRetries: task.retries });
  const messages = [{ role: "user", content: task.prompt }];
  const request = {
    model: "claude-sonnet-5",
    max_tokens: 4096,
    messages,
    tools: task.tools?.map(({ name, description, parameters }) => ({ name, description, input_schema: parameters })),
    thinking: task.thinking ? { type: "enabled", budget_tokens: 1024 } : undefined,
    output_config: task.schema && { format: jsonSchemaOutputFormat(task.schema) },
  };
  if (task.count) {
    const { input_tokens } = await client.messages.countTokens({ model: request.model, messages });
    return [{ counted: input_tokens }];
  }
  const ask = async () => {
    const { signal, piece } = task;
    const message = task.stream
      ? await client.messages.stream(request, { signal }).on("text", piece).finalMessage()
      : await client.messages.parse(request, { signal });
    messages.push({ role: "assistant", content: message.content });
    return answer(message);
  };
  return converse(task, ask, (calls) => {
    const content = calls.map(({ id, result }) => ({ type: "tool_result", tool_use_id: id, content: result }));
    messages.push({ role: "user", content });
  });
});

function answer({ content, stop_reason, usage, parsed_output }) {
  const blocks = (type) => content.filter((block) => block.type === type);
  const texts = (type) => blocks(type).map((block) => block[type]).join("");
  return {
    text: texts("text"),
    reasoning: texts("thinking"),
    calls: blocks("tool_use").map(({ id, name, input }) => ({ id, name, arguments: input })),
    finish: stop_reason,
    usage: [usage.input_tokens, usage.output_tokens],
    value: parsed_output,
  };
}
