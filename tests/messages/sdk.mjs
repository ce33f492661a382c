// Runs @anthropic-ai/sdk against a server: its arguments are the path of the package, the server's address and a case.
const [, , path, baseURL, name] = process.argv;
const { default: Anthropic } = await import(path);
const client = new Anthropic({ baseURL, apiKey: "any", maxRetries: 0 });
const request = { model: "claude-sonnet-5", max_tokens: 1024, messages: [{ role: "user", content: "Hello" }] };

const cases = {
  create: () => client.messages.create(request),
  stream: () => client.messages.stream(request).finalMessage(),
  raw: async () => {
    const types = [];
    for await (const event of await client.messages.create({ ...request, stream: true })) types.push(event.type);
    return types;
  },
  tokens: () => client.messages.countTokens({ model: request.model, messages: request.messages }),
};
try {
  console.log(JSON.stringify(await cases[name]()));
} catch (error) {
  console.log(JSON.stringify({ thrown: error.constructor.name, status: error.status, body: error.error }));
}
