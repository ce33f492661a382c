// Runs the tasks of test_node_tasks.py: reads one task per line and writes one result per line. Knows no SDK.
import { run } from "../../../fakellm/drivers/loop.mjs";

let delays = [];
globalThis.setTimeout = new Proxy(globalThis.setTimeout, {
  apply(original, self, args) {
    delays.push(args[1] ?? 0);
    return Reflect.apply(original, self, args);
  },
});

// Calls perform(task) for each task, which returns the model's answers in order or throws. Besides what the Python side
// sends, a task has a `signal`, and a function `piece`, to be called with each text that a stream brings: the first one
// aborts a task that is to be cancelled. The result has the delays of all timers, in milliseconds.
export const serve = (perform) => run(async (url, task) => {
  const controller = new AbortController();
  const piece = (text) => task.cancel && text && controller.abort();
  delays = [];
  try {
    return { answers: await perform({ ...task, url, signal: controller.signal, piece }), delays };
  } catch (error) {
    return { thrown: described(error), delays };
  }
});

// Asks until the model calls no tool: ask() returns its answer, and add(calls) adds the results to the conversation.
export async function converse({ tools }, ask, add) {
  const answers = [await ask()];
  while (tools && answers.at(-1).calls.length) {
    add(answers.at(-1).calls.map((call) => ({ ...call, result: tools.find(({ name }) => name === call.name).result })));
    answers.push(await ask());
  }
  return answers;
}

function described(error) {
  const status = error.status ?? error.statusCode ?? error.status_code ?? null;
  return { type: error.constructor.name, status, message: error.message };
}
