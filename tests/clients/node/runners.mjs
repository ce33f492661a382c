// The loops that SDKs run themselves: their tool runners. `task.runner` names one.
import Anthropic from "@anthropic-ai/sdk";
import { betaTool } from "@anthropic-ai/sdk/helpers/beta/json-schema";
import { GoogleGenAI } from "@google/genai";
import OpenAI from "openai";
import { ResponsesToolRunner } from "openai/helpers/responses-tool-runner";
import { serve } from "./tasks.mjs";

// Each returns the last text.
const RUNNERS = {
  async chat({ url, prompt, tools, stream }) {
    const client = new OpenAI({ baseURL: `${url}/v1`, apiKey: "any" });
    const functions = tools.map(({ result, ...tool }) => {
      return { type: "function", function: { ...tool, parse: JSON.parse, function: () => result } };
    });
    const messages = [{ role: "user", content: prompt }];
    return client.chat.completions.runTools({ model: "gpt-5", messages, tools: functions, stream }).finalContent();
  },
  async responses({ url, prompt, tools, stream }) {
    const client = new OpenAI({ baseURL: `${url}/v1`, apiKey: "any" });
    const functions = tools.map(({ result, ...tool }) => {
      return { tool: { type: "function", strict: true, ...tool }, execute: () => result };
    });
    const runner = new ResponsesToolRunner({ functions });
    const input = [{ role: "user", content: prompt }];
    return (await runner.run(client, { model: "gpt-5", input }, { stream })).output_text;
  },
  async messages({ url, prompt, tools, stream }) {
    const client = new Anthropic({ baseURL: url, apiKey: "any" });
    const functions = tools.map(({ name, description, parameters, result }) => {
      return betaTool({ name, description, inputSchema: parameters, run: () => result });
    });
    const messages = [{ role: "user", content: prompt }];
    const request = { model: "claude-sonnet-5", max_tokens: 4096, messages, tools: functions, stream };
    const { content } = await client.beta.messages.toolRunner(request).runUntilDone();
    return content.map(({ text }) => text ?? "").join("");
  },
  async gemini({ url, prompt, tools, stream }) {
    const client = new GoogleGenAI({ apiKey: "any", httpOptions: { baseUrl: url } });
    const functionDeclarations = tools.map(({ name, description, parameters }) => {
      return { name, description, parametersJsonSchema: parameters };
    });
    const callable = {
      tool: async () => ({ functionDeclarations }),
      callTool: async (calls) => calls.map(({ id, name }) => {
        const output = tools.find((tool) => tool.name === name).result;
        return { functionResponse: { id, name, response: { output } } };
      }),
    };
    const request = { model: "gemini-2.5-flash", contents: prompt, config: { tools: [callable] } };
    if (!stream) return (await client.models.generateContent(request)).text;
    let text = "";
    for await (const chunk of await client.models.generateContentStream(request)) text += chunk.text ?? "";
    return text;
  },
};

await serve(async (task) => [{ text: await RUNNERS[task.runner](task) }]);
