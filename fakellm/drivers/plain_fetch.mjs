// Runs no package: fetch(), and a reader of server-sent events that follows their standard.
import { run } from "./loop.mjs";
import { Tally } from "./tally.mjs";

await run(async (baseURL, request, timeout) => {
  const response = await fetch(`${baseURL}/chat/completions`, {
    method: "POST",
    headers: { "content-type": "application/json", authorization: "Bearer any" },
    body: JSON.stringify(request),
    signal: AbortSignal.timeout(timeout),
  });
  if (!response.ok) throw new Error(`${response.status}: ${await response.text()}`);
  const tally = new Tally();
  const reads = [];
  for await (const { type, data } of events(response.body.pipeThrough(counting(reads)))) {
    if (type === "error") throw new Error(data);
    if (type !== "message") continue;
    if (data === "[DONE]") break;
    const chunk = JSON.parse(data);
    if (chunk.error) throw new Error(chunk.error.message ?? chunk.error);
    tally.add(chunk);
  }
  const finished = tally.choices.length && tally.choices.every((choice) => choice.finish_reason);
  if (!finished) throw new Error("the stream ended before every choice had finished");
  return { ...tally.result(), reads };
});

// Adds the size of each read to `reads`, which shows whether the client saw where the body was cut.
function counting(reads) {
  return new TransformStream({
    transform(read, controller) {
      reads.push(read.length);
      controller.enqueue(read);
    },
  });
}

// The events of a stream: https://html.spec.whatwg.org/multipage/server-sent-events.html#event-stream-interpretation
async function* events(body) {
  let [type, data] = ["", []];
  for await (const line of lines(body)) {
    const [, name, value] = /^([^:]*):? ?(.*)$/s.exec(line);
    if (name === "data") data.push(value);
    if (name === "event") type = value;
    if (line !== "") continue;
    if (data.join("")) yield { type: type || "message", data: data.join("\n") };
    [type, data] = ["", []];
  }
}

async function* lines(body) {
  let buffer = "";
  for await (const text of body.pipeThrough(new TextDecoderStream())) {
    buffer += text;
    const whole = buffer.split(/\r\n|\n|\r(?!$)/); // a CR at the end may be half of a CRLF
    buffer = whole.pop();
    yield* whole;
  }
  if (buffer.endsWith("\r")) yield buffer.slice(0, -1); // it was a line end of its own
}
