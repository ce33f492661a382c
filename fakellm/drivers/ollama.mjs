// Runs the `ollama` package for Node: chat({stream: true}), its parts added up by hand. For `fakellm fuzz --api ollama`.
import { Ollama } from "ollama";
import { run, usage } from "./loop.mjs";

await run(async (host, request, timeout) => {
  const limited = (url, init) =>
    fetch(url, { ...init, signal: AbortSignal.any([AbortSignal.timeout(timeout), ...(init?.signal ? [init.signal] : [])]) });
  const client = new Ollama({ host, fetch: limited });
  const found = { content: "", reasoning: "", tool_calls: [], finish_reason: null, usage: null };
  for await (const part of await client.chat(request)) {
    found.content += part.message.content ?? "";
    found.reasoning += part.message.thinking ?? "";
    found.tool_calls.push(...(part.message.tool_calls ?? []).map((call) => ({
      name: call.function.name, arguments: call.function.arguments,
    })));
    if (part.done) {
      const [input, output] = [part.prompt_eval_count ?? 0, part.eval_count ?? 0]; // a zero is left out
      found.finish_reason = part.done_reason ?? null;
      found.usage = part.total_duration === undefined ? null : usage(input, output, input + output);
    }
  }
  return found;
});
