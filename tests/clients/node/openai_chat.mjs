// The `openai` package, chat completions: parse() and the helper stream().
import OpenAI from "openai";
import { zodResponseFormat } from "openai/helpers/zod";
import { z } from "zod";
import { converse, serve } from "./tasks.mjs";

await serve(async (task) => {
  const client = new OpenAI({ baseURL: `${task.url}/v1`, apiKey: task.key, maxRetries: task.retries });
  const messages = [{ role: "user", content: task.prompt }];
  const request = {
    model: "gpt-5",
    messages,
    tools: task.tools?.map(({ result: _, ...tool }) => ({ type: "function", function: { strict: true, ...tool } })),
    reasoning_effort: task.thinking ? "low" : undefined,
    response_format: task.schema && zodResponseFormat(z.fromJSONSchema(task.schema), "answer"),
  };
  const ask = async () => {
    const { signal } = task;
    const completion = task.stream ? await streamed(client, request, task)
      : await client.chat.completions.parse(request, { signal });
    messages.push(completion.choices[0].message);
    return answer(completion);
  };
  return converse(task, ask, (calls) => {
    messages.push(...calls.map(({ id, result }) => ({ role: "tool", tool_call_id: id, content: result })));
  });
});

async function streamed(client, request, { signal, piece }) {
  const stream = client.chat.completions.stream({ ...request, stream_options: { include_usage: true } }, { signal });
  stream.on("content", piece);
  return stream.finalChatCompletion();
}

function answer({ choices: [{ message, finish_reason }], usage }) {
  const call = ({ id, function: { name, arguments: text } }) => ({ id, name, arguments: JSON.parse(text) });
  return {
    text: message.content ?? "",
    reasoning: message.reasoning_content ?? "", // of other providers than OpenAI: the package has no type for it
    refusal: message.refusal ?? "",
    calls: (message.tool_calls ?? []).map(call),
    finish: finish_reason,
    usage: [usage.prompt_tokens, usage.completion_tokens],
    value: message.parsed,
  };
}
