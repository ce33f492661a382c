// Runs a driver for a reader of server-sent events: adds up the chunks of chat that it reads. Knows no reader.
import { run } from "./loop.mjs";
import { Tally } from "./tally.mjs";

// read(url, init) iterates over the events of the response to fetch(url, init), each with its `event` and `data`.
export const runReader = (read) => run(async (baseURL, request, timeout) => {
  const tally = new Tally();
  const init = {
    method: "POST",
    headers: { "content-type": "application/json", authorization: "Bearer any" },
    body: JSON.stringify(request),
    signal: AbortSignal.timeout(timeout),
  };
  for await (const { event, data } of read(`${baseURL}/chat/completions`, init)) {
    if (event === "error") throw new Error(data);
    if (event && event !== "message") continue;
    if (data === "[DONE]") break;
    const chunk = JSON.parse(data);
    if (chunk.error) throw new Error(chunk.error.message ?? chunk.error);
    tally.add(chunk);
  }
  const finished = tally.choices.length && tally.choices.every((choice) => choice.finish_reason);
  if (!finished) throw new Error("the stream ended before every choice had finished");
  return tally.result();
});

// The response to a request; an error if its status is one.
export async function send(url, init) {
  const response = await fetch(url, init);
  if (!response.ok) throw new Error(`${response.status}: ${await response.text()}`);
  return response;
}
