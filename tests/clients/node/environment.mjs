// Makes each client without a URL or a key, which the environment has, and prints the text of each answer.
import Anthropic from "@anthropic-ai/sdk";
import { anthropic } from "@ai-sdk/anthropic";
import { openai } from "@ai-sdk/openai";
import { GoogleGenAI } from "@google/genai";
import { ChatAnthropic } from "@langchain/anthropic";
import { ChatOllama } from "@langchain/ollama";
import { ChatOpenAI } from "@langchain/openai";
import { generateText } from "ai";
import OpenAI from "openai";

const messages = [{ role: "user", content: "Hi" }];
const message = await new Anthropic().messages.create({ model: "m", max_tokens: 9, messages });
const answers = {
  openai: (await new OpenAI().responses.create({ model: "m", input: "Hi" })).output_text,
  "@anthropic-ai/sdk": message.content[0].text,
  "@google/genai": (await new GoogleGenAI({}).models.generateContent({ model: "m", contents: "Hi" })).text,
  "@ai-sdk/openai": (await generateText({ model: openai("m"), prompt: "Hi" })).text,
  "@ai-sdk/anthropic": (await generateText({ model: anthropic("m"), prompt: "Hi" })).text,
  "@langchain/openai": (await new ChatOpenAI({ model: "m" }).invoke("Hi")).text,
  "@langchain/anthropic": (await new ChatAnthropic({ model: "m" }).invoke("Hi")).text,
  "@langchain/ollama": (await new ChatOllama({ model: "m" }).invoke("Hi")).text,
};
console.log(JSON.stringify(answers));
process.exit(); // kept-alive connections would keep it running
