// Runs a package that reads server-sent events over fetch(): `eventsource-parser`, or `fetch-event-source`.
import { runReader, send } from "./sse_chat.mjs";

const READERS = { "eventsource-parser": eventsourceParser, "fetch-event-source": fetchEventSource };

async function eventsourceParser() {
  const { EventSourceParserStream } = await import("eventsource-parser/stream");
  return async function* (url, init) {
    const { body } = await send(url, init);
    yield* body.pipeThrough(new TextDecoderStream()).pipeThrough(new EventSourceParserStream());
  };
}

async function fetchEventSource() {
  globalThis.window = globalThis; // it is for browsers
  globalThis.document = new EventTarget();
  const { fetchEventSource } = await import("@microsoft/fetch-event-source");
  return async function* (url, { signal, ...init }) {
    const events = [];
    const end = new AbortController();
    const onmessage = (event) => events.push(event) && event.data === "[DONE]" && end.abort();
    const onerror = (error) => { throw error; }; // or it sends the request again
    signal = AbortSignal.any([signal, end.signal]);
    await fetchEventSource(url, { ...init, signal, fetch: send, openWhenHidden: true, onmessage, onerror });
    yield* events;
  };
}

await runReader(await READERS[process.argv[2]]());
