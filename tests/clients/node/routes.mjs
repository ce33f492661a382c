// What SDKs do besides replies: `task.route` names it.
import Anthropic from "@anthropic-ai/sdk";
import { createGoogle } from "@ai-sdk/google";
import { createOpenAI } from "@ai-sdk/openai";
import { GoogleGenAI } from "@google/genai";
import { GoogleGenerativeAIEmbeddings } from "@langchain/google-genai";
import { OllamaEmbeddings } from "@langchain/ollama";
import { OpenAIEmbeddings } from "@langchain/openai";
import { embedMany } from "ai";
import { Ollama } from "ollama";
import OpenAI from "openai";
import { serve } from "./tasks.mjs";

const TEXTS = ["cat", "dog"];
const openai = ({ url }) => new OpenAI({ baseURL: `${url}/v1`, apiKey: "any" });
const anthropic = ({ url }) => new Anthropic({ baseURL: url, apiKey: "any" });
const google = ({ url }) => new GoogleGenAI({ apiKey: "any", httpOptions: { baseUrl: url } });
const ollama = ({ url }) => new Ollama({ host: url });

async function listed(pages, key) {
  const found = [];
  for await (const item of await pages) found.push(item[key]);
  return found;
}

const ROUTES = {
  "openai models": (task) => listed(openai(task).models.list(), "id"),
  "anthropic models": (task) => listed(anthropic(task).models.list({ limit: 1 }), "id"),
  "google models": (task) => listed(google(task).models.list(), "name"),
  "ollama models": async (task) => listed((await ollama(task).list()).models, "name"),
  "openai model": async (task) => (await openai(task).models.retrieve("a")).object,
  "anthropic model": async (task) => (await anthropic(task).models.retrieve("a")).type,
  "google model": async (task) => (await google(task).models.get({ model: "a" })).name,
  "ollama model": async (task) => (await ollama(task).show({ model: "a" })).details.format,
  "openai embeddings": async (task) => {
    const { data } = await openai(task).embeddings.create({ model: "text-embedding-3-small", input: TEXTS });
    return data.map(({ embedding }) => embedding);
  },
  "google embeddings": async (task) => {
    const request = { model: "gemini-embedding-001", contents: TEXTS };
    return (await google(task).models.embedContent(request)).embeddings.map(({ values }) => values);
  },
  "ollama embeddings": async (task) => (await ollama(task).embed({ model: "a", input: TEXTS })).embeddings,
  "ai_sdk openai embeddings": async ({ url }) => {
    const model = createOpenAI({ baseURL: `${url}/v1`, apiKey: "any" }).embedding("text-embedding-3-small");
    return (await embedMany({ model, values: TEXTS })).embeddings;
  },
  "ai_sdk google embeddings": async ({ url }) => {
    const model = createGoogle({ baseURL: `${url}/v1beta`, apiKey: "any" }).embedding("gemini-embedding-001");
    return (await embedMany({ model, values: TEXTS })).embeddings;
  },
  "langchain openai embeddings": ({ url }) => {
    const options = { model: "text-embedding-3-small", apiKey: "any", configuration: { baseURL: `${url}/v1` } };
    return new OpenAIEmbeddings(options).embedDocuments(TEXTS);
  },
  "langchain google embeddings": ({ url }) => {
    return new GoogleGenerativeAIEmbeddings({ model: "m", apiKey: "any", baseUrl: url }).embedDocuments(TEXTS);
  },
  "langchain ollama embeddings": ({ url }) => new OllamaEmbeddings({ model: "a", baseUrl: url }).embedDocuments(TEXTS),
  "openai background": async (task) => {
    const client = openai(task);
    let response = await client.responses.create({ model: "a", input: "Hi", background: true });
    const statuses = [response.status];
    while (statuses.at(-1) !== "completed") {
      response = await client.responses.retrieve(response.id);
      statuses.push(response.status);
    }
    return [...statuses, response.output_text];
  },
  "openai conversation": async (task) => {
    const client = openai(task);
    const conversation = (await client.conversations.create({})).id;
    await client.responses.create({ model: "a", input: "Hi", conversation });
    const { output_text } = await client.responses.create({ model: "a", input: "Hi", conversation });
    return [output_text, ...(await listed(client.conversations.items.list(conversation), "type"))];
  },
  "google chat": async (task) => {
    const chat = google(task).chats.create({ model: "a" });
    for await (const _ of await chat.sendMessageStream({ message: "Hi" }));
    return (await chat.sendMessage({ message: "Hi" })).text;
  },
};

await serve(async (task) => [await ROUTES[task.route](task)]);
