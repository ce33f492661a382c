// Adds up raw chunks, as a careful user would.
import { usage } from "./loop.mjs";

export class Tally {
  choices = [];
  usage = null;

  add(chunk) {
    this.usage = chunk.usage ?? this.usage;
    for (const part of chunk.choices ?? []) {
      const choice = (this.choices[part.index] ??= {
        content: "", reasoning: "", refusal: "", tool_calls: [], finish_reason: null,
      });
      choice.finish_reason = part.finish_reason || choice.finish_reason;
      if (part.delta) extend(choice, part.delta);
    }
  }

  result() {
    const choices = this.choices.filter(Boolean);
    for (const choice of choices) choice.tool_calls = choice.tool_calls.filter(Boolean);
    const used = this.usage && usage(this.usage.prompt_tokens, this.usage.completion_tokens, this.usage.total_tokens);
    const first = choices[0] ?? { content: "", finish_reason: null };
    return { ...first, usage: used, ...(choices.length > 1 ? { choices } : {}) };
  }
}

function extend(choice, delta) {
  choice.content += delta.content ?? "";
  choice.refusal += delta.refusal ?? "";
  const thoughts = (delta.reasoning_details ?? []).map((detail) => detail.text ?? detail.summary ?? "").join("");
  choice.reasoning += delta.reasoning_content ?? delta.reasoning ?? thoughts;
  for (const piece of delta.tool_calls ?? []) {
    const index = piece.index ?? choice.tool_calls.length - (piece.id ? 0 : 1);
    const call = (choice.tool_calls[index] ??= { name: "", arguments: "" });
    call.name ||= piece.function?.name ?? "";
    call.arguments += piece.function?.arguments ?? "";
  }
}
