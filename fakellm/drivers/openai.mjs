// Runs the `openai` package for Node: create({stream: true}) and an accumulator.
import OpenAI from "openai";
import { run } from "./loop.mjs";
import { Tally } from "./tally.mjs";

await run(async (baseURL, request, timeout) => {
  const client = new OpenAI({ baseURL, apiKey: "any", maxRetries: 0, timeout });
  const tally = new Tally();
  for await (const chunk of await client.chat.completions.create(request)) tally.add(chunk);
  return tally.result();
});
