// Puts the rules of one YAML text in front of those of another. Knows no more of YAML than where a list of rules begins:
// whoever saves the result has it checked first.

/** The text of a scenario with these rules before its own; comments and spacing of both stay. */
export function withRules(scenario, rules) {
  const added = itemsOf(rules);
  const lines = scenario.split("\n");
  const at = lines.findIndex((line) => /^rules:\s*(\[\s*\])?\s*(#.*)?$/.test(line));
  if (at < 0) return `${scenario.trimEnd()}\n\nrules:\n${added.join("\n")}\n`.trimStart();
  const first = lines.slice(at + 1).find((line) => /^\s*- /.test(line));
  const indent = first ? first.match(/^\s*/)[0] : "";
  lines[at] = lines[at].replace(/\[\s*\]/, "").trimEnd();
  lines.splice(at + 1, 0, ...added.map((line) => (line ? indent + line : line)));
  return lines.join("\n");
}

/** The lines below `rules:`, as far to the left as they can be. */
function itemsOf(text) {
  const lines = text.trimEnd().split("\n");
  const below = lines.slice(lines.findIndex((line) => /^rules:\s*(#.*)?$/.test(line)) + 1);
  const depth = below.find((line) => line.trim())?.match(/^ */)[0].length ?? 0;
  return below.map((line) => (line.slice(0, depth).trim() ? line : line.slice(depth)));
}
