// Runs a driver on Node: reads one case per line and writes one result per line, as in loop.py. Knows no client.
import { createInterface } from "node:readline";

// The sizes in bytes of the reads of the last response to fetch(), which show whether the client saw where its body was
// cut.
let reads = [];
const { fetch } = globalThis;
globalThis.fetch = async (...request) => {
  const response = await fetch(...request);
  if (!response.body) return response;
  const sizes = (reads = []);
  const counting = new TransformStream({
    transform(read, controller) {
      sizes.push(read.length);
      controller.enqueue(read);
    },
  });
  const counted = new Response(response.body.pipeThrough(counting), response);
  return Object.defineProperty(counted, "url", { value: response.url });
};

// Calls answer(baseURL, request, timeout) for each case on standard input; the timeout is a whole number of milliseconds.
// An error that it throws becomes the result of the case. Whatever the client logs goes to standard error.
export async function run(answer) {
  const write = process.stdout.write.bind(process.stdout);
  process.stdout.write = process.stderr.write.bind(process.stderr);
  process.on("unhandledRejection", (error) => console.error(error)); // the case reports its own error
  for await (const line of createInterface({ input: process.stdin })) {
    const { id, base_url, request, timeout } = JSON.parse(line);
    let result;
    reads = [];
    try {
      result = await answer(base_url, request, Math.ceil(timeout * 1000));
      if (reads.length) result = { reads, ...result };
    } catch (error) {
      const type = error?.constructor?.name ?? typeof error;
      const message = error?.message ?? (typeof error === "string" ? error : JSON.stringify(error));
      result = { error: { type, message: String(message) } };
    }
    write(JSON.stringify({ id, ...result }) + "\n");
  }
  process.exit(); // kept-alive connections would keep it running
}

export const usage = (prompt, completion, total) => ({
  prompt_tokens: prompt ?? null, completion_tokens: completion ?? null, total_tokens: total ?? null,
});
