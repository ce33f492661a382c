// The `openai` package, Responses: parse() and the helper stream().
import OpenAI from "openai";
import { zodTextFormat } from "openai/helpers/zod";
import { z } from "zod";
import { converse, serve } from "./tasks.mjs";

await serve(async (task) => {
  const client = new OpenAI({ baseURL: `${task.url}/v1`, apiKey: task.key, maxRetries: task.retries });
  const input = [{ role: "user", content: task.prompt }];
  const request = {
    model: "gpt-5",
    input,
    tools: task.tools?.map(({ result: _, ...tool }) => ({ type: "function", strict: true, ...tool })),
    reasoning: task.thinking ? { effort: "low", summary: "auto" } : undefined,
    text: task.schema && { format: zodTextFormat(z.fromJSONSchema(task.schema), "answer") },
  };
  if (task.count) {
    const { input_tokens } = await client.responses.inputTokens.count({ model: "gpt-5", input });
    return [{ counted: input_tokens }];
  }
  const ask = async () => {
    const { signal } = task;
    const response = task.stream ? await streamed(client.responses.stream(request, { signal }), task)
      : await client.responses.parse(request, { signal });
    input.push(...response.output);
    return answer(response);
  };
  return converse(task, ask, (calls) => {
    input.push(...calls.map(({ id, result }) => ({ type: "function_call_output", call_id: id, output: result })));
  });
});

async function streamed(stream, task) {
  stream.on("response.output_text.delta", ({ delta }) => task.piece(delta));
  return stream.finalResponse();
}

function answer({ output, output_text, output_parsed, usage, status }) {
  const items = (type) => output.filter((item) => item.type === type);
  const refusals = items("message").flatMap(({ content }) => content).filter(({ type }) => type === "refusal");
  const call = ({ call_id, name, arguments: text }) => ({ id: call_id, name, arguments: JSON.parse(text) });
  return {
    text: output_text,
    reasoning: items("reasoning").flatMap(({ summary }) => summary).map(({ text }) => text).join(""),
    refusal: refusals.map(({ refusal }) => refusal).join(""),
    calls: items("function_call").map(call),
    finish: status,
    usage: [usage.input_tokens, usage.output_tokens],
    value: output_parsed,
  };
}
