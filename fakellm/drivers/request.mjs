// Reads from a request of any API what a client needs to write its own: the prompt and the functions. Knows no client.

// The user's text.
export function prompt({ contents, input, messages }) {
  return contents ? contents.at(-1).parts[0].text : (input ?? messages.at(-1).content);
}

// The functions that the model may call, each with its name and the JSON Schema of its parameters.
export function functions({ contents, tools = [] }) {
  const declared = contents ? tools.flatMap(({ functionDeclarations }) => functionDeclarations) : tools;
  // In chat and Ollama's API, a function is within its tool.
  const names = declared.map((each) => (each.function ?? each).name);
  return names.map((name) => ({ name, parameters: { type: "object", properties: {} } }));
}
