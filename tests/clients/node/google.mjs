// @google/genai: generateContent() and generateContentStream(), whose chunks are added up by hand.
import { GoogleGenAI } from "@google/genai";
import { converse, serve } from "./tasks.mjs";

const vertexai = process.argv[2] === "vertex";

await serve(async (task) => {
  const retryOptions = task.retries ? { attempts: task.retries + 1, initialDelay: 0.01 } : undefined;
  const client = new GoogleGenAI({ vertexai, apiKey: task.key, httpOptions: { baseUrl: task.url, retryOptions } });
  const contents = [{ role: "user", parts: [{ text: task.prompt }] }];
  const declarations = task.tools?.map(({ name, description, parameters }) => {
    return { name, description, parametersJsonSchema: parameters };
  });
  const request = {
    model: "gemini-2.5-flash",
    contents,
    config: {
      abortSignal: task.signal,
      tools: declarations && [{ functionDeclarations: declarations }],
      thinkingConfig: task.thinking ? { includeThoughts: true } : undefined,
      ...(task.schema ? { responseMimeType: "application/json", responseJsonSchema: task.schema } : {}),
    },
  };
  if (task.count) {
    const { totalTokens } = await client.models.countTokens({ model: request.model, contents });
    return [{ counted: totalTokens }];
  }
  const ask = async () => {
    const chunks = [];
    if (task.stream) {
      for await (const chunk of await client.models.generateContentStream(request)) {
        chunks.push(chunk);
        task.piece(chunk.text);
      }
    } else {
      chunks.push(await client.models.generateContent(request));
    }
    const parts = chunks.flatMap(({ candidates }) => candidates?.[0]?.content?.parts ?? []);
    contents.push({ role: "model", parts });
    return answer(parts, chunks, task);
  };
  return converse(task, ask, (calls) => {
    const responses = calls.map(({ id, name, result }) => ({ id, name, response: { output: result } }));
    contents.push({ role: "user", parts: responses.map((functionResponse) => ({ functionResponse })) });
  });
});

function answer(parts, chunks, { schema }) {
  const texts = (chosen) => parts.filter(chosen).map(({ text }) => text ?? "").join("");
  const last = chunks.at(-1);
  const text = texts(({ thought }) => !thought);
  const calls = chunks.flatMap(({ functionCalls }) => functionCalls ?? []);
  return {
    text,
    reasoning: texts(({ thought }) => thought),
    calls: calls.map(({ id, name, args }) => ({ id, name, arguments: args })),
    finish: last.candidates?.[0]?.finishReason,
    usage: [last.usageMetadata.promptTokenCount, last.usageMetadata.candidatesTokenCount],
    value: schema && JSON.parse(text),
  };
}
