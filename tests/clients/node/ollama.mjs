// The `ollama` package: chat(), streamed or not; the parts of a stream are added up by hand.
import { Ollama } from "ollama";
import { converse, serve } from "./tasks.mjs";

await serve(async (task) => {
  const client = new Ollama({ host: task.url, headers: { authorization: `Bearer ${task.key}` } });
  task.signal.addEventListener("abort", () => client.abort());
  const messages = [{ role: "user", content: task.prompt }];
  const request = {
    model: "qwen3",
    messages,
    tools: task.tools?.map(({ result: _, ...tool }) => ({ type: "function", function: tool })),
    think: task.thinking,
    format: task.schema,
    stream: task.stream,
  };
  const ask = async () => {
    const parts = [];
    if (task.stream) {
      for await (const part of await client.chat(request)) {
        parts.push(part);
        task.piece(part.message.content);
      }
    } else {
      parts.push(await client.chat(request));
    }
    const found = answer(parts, task);
    const calls = parts.flatMap(({ message }) => message.tool_calls ?? []);
    messages.push({ role: "assistant", content: found.text, tool_calls: calls });
    return found;
  };
  return converse(task, ask, (calls) => {
    messages.push(...calls.map(({ name, result }) => ({ role: "tool", tool_name: name, content: result })));
  });
});

function answer(parts, { schema }) {
  const texts = (key) => parts.map(({ message }) => message[key] ?? "").join("");
  const calls = parts.flatMap(({ message }) => message.tool_calls ?? []);
  const last = parts.at(-1);
  return {
    text: texts("content"),
    reasoning: texts("thinking"),
    calls: calls.map(({ function: call }) => ({ name: call.name, arguments: call.arguments })),
    finish: last.done_reason,
    usage: [last.prompt_eval_count, last.eval_count],
    value: schema && JSON.parse(texts("content")),
  };
}
