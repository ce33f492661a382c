// What the drivers for Node share: one case a line in, one result a line out, as in loop.py. Knows no client.
import { createInterface } from "node:readline";

// Answers the cases on standard input until it ends: answer(baseURL, request, timeout), timeout in milliseconds.
// What it throws becomes the error of the case. Whatever the client logs goes to standard error.
export async function run(answer) {
  const write = process.stdout.write.bind(process.stdout);
  process.stdout.write = process.stderr.write.bind(process.stderr);
  process.on("unhandledRejection", (error) => console.error(error)); // the case has its own answer
  for await (const line of createInterface({ input: process.stdin })) {
    const { id, base_url, request, timeout } = JSON.parse(line);
    let result;
    try {
      result = await answer(base_url, request, timeout * 1000);
    } catch (error) {
      const type = error?.constructor?.name ?? typeof error;
      const told = error?.message ?? (typeof error === "string" ? error : JSON.stringify(error));
      result = { error: { type, message: String(told) } };
    }
    write(JSON.stringify({ id, ...result }) + "\n");
  }
  process.exit(); // kept-alive connections would hold it
}

export const usage = (prompt, completion, total) => ({
  prompt_tokens: prompt ?? null, completion_tokens: completion ?? null, total_tokens: total ?? null,
});
