// Runs no package: fetch(), and a reader of server-sent events that follows their standard.
import { runReader, send } from "./sse_chat.mjs";

// The events of a stream: https://html.spec.whatwg.org/multipage/server-sent-events.html#event-stream-interpretation
async function* events(url, init) {
  let [event, data] = ["", []];
  for await (const line of lines((await send(url, init)).body)) {
    const [, name, value] = /^([^:]*):? ?(.*)$/s.exec(line);
    if (name === "data") data.push(value);
    if (name === "event") event = value;
    if (line !== "") continue;
    if (data.join("")) yield { event, data: data.join("\n") };
    [event, data] = ["", []];
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

await runReader(events);
