// Makes a rule of a request: its YAML to edit, a preview, and the ways to use it.

import { Answer } from "./answer.js";
import { button, count, h, show } from "./dom.js";
import { showSaved } from "./dialogs.js";
import { Editor } from "./editor.js";
import { withRules } from "./scenario_text.js";
import { json } from "./server.js";
import { Wire } from "./wire.js";

/** The view of a rule for a request. */
export function ruleElement({ session, number, rule, note, files }) {
  const result = h("div", { class: "result", role: "status" });
  const apply = button("Apply to the session", () => run(applied), { class: "primary" });
  const preview = button("Preview", () => run(previewed));
  const saves = files.map((file) => button(`Save to ${shortName(file.name)}…`, () => run(() => savingElement(editor.text, file, session)), { title: file.name }));
  const editor = new Editor({
    label: "The rule, in YAML",
    text: rule,
    session,
    onCheck: (valid) => [apply, preview, ...saves].forEach((each) => (each.disabled = !valid)),
  });

  async function run(act) {
    try {
      show(result, await act());
    } catch (refusal) {
      show(result, h("p", { class: "problem" }, refusal.message));
    }
  }

  async function applied() {
    const { rules } = await json("POST", "rules?first=true", { session, body: editor.text });
    return h("p", { class: "done" }, `Applied: it is the first of ${count(rules, "rule")}. The next such request gets its answer.`);
  }

  async function previewed() {
    return previewElement(await json("POST", `preview?request=${number}`, { session, body: editor.text }));
  }

  return h(
    "div",
    { class: "make-rule" },
    h("p", { class: "note" }, note ?? "The smallest rule that matches this request. Change what it matches and what it answers."),
    editor.element,
    h("p", { class: "buttons" }, apply, preview, saves),
    result,
  );
}

function previewElement({ rule, wire, problems, message }) {
  const failed = [message, ...problems.map((each) => each.message)].filter(Boolean).map((text) => h("p", { class: "problem" }, text));
  if (!wire) return failed;
  const answer = new Answer();
  for (const frame of wire.frames) answer.add(frame.adds);
  const shown = new Wire(wire);
  shown.update(0);
  return [
    failed,
    h("p", { class: "done" }, `${rule} matches. This would be sent:`),
    answer.element,
    h("details", {}, h("summary", {}, `${count(wire.frames.length, "frame")} on the wire`), shown.element),
  ];
}

/** Shows the whole file with the rule in it, which is saved only when one confirms that. */
async function savingElement(rule, { name }, session) {
  const { files } = await json("GET", "file", { session });
  const found = files.find((each) => each.name === name);
  if (!found) return h("p", { class: "problem" }, `${name} is no longer a file of the scenario.`);
  const { text, version } = found;
  const result = h("div", { role: "status" });
  const save = button(`Save ${shortName(name)}`, async () => {
    try {
      await json("PUT", `file?name=${encodeURIComponent(name)}&version=${encodeURIComponent(version)}`, { session, body: editor.text });
      save.disabled = true;
      showSaved(shortName(name)); // the request goes with the journal, and this view with it
    } catch (refusal) {
      show(result, h("p", { class: "problem" }, refusal.message));
    }
  });
  const editor = new Editor({ label: `The file ${name}`, text: withRules(text, rule), session, onCheck: (valid) => (save.disabled = !valid) });
  return h("div", {}, h("h3", {}, `${name} with the rule`), editor.element, h("p", { class: "buttons" }, save), result);
}

/** The name of a file without its folders. */
function shortName(path) {
  return path.replace(/^.*[/\\]/, "");
}
