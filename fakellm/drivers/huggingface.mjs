// Runs `@huggingface/inference`: chatCompletionStream() and an accumulator.
import { InferenceClient } from "@huggingface/inference";
import { run } from "./loop.mjs";
import { Tally } from "./tally.mjs";

await run(async (baseURL, request, timeout) => {
  const client = new InferenceClient("any", { endpointUrl: baseURL });
  const tally = new Tally();
  const options = { signal: AbortSignal.timeout(timeout), retry_on_error: false };
  for await (const chunk of client.chatCompletionStream(request, options)) tally.add(chunk);
  return tally.result();
});
