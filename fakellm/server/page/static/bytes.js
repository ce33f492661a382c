// Shows bytes with the invisible made visible: CR, LF, other controls, and characters that a cut divides.

import { h } from "./dom.js";

const NAMES = { 9: "TAB", 10: "LF", 13: "CR", 0x7f: "DEL", 0xfeff: "BOM" };
const INVISIBLE = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\u00a0\p{Co}\p{Cs}]/u;

/** The bytes of a text in which each character is one byte. */
export function fromLatin1(text) {
  return Uint8Array.from(text, (each) => each.charCodeAt(0));
}

/** The pieces of some bytes, in order: `{ text }` as it is, `{ mark, title, breaks }` for what cannot be seen. Bytes
 * that are no whole character of UTF-8 are marks in hexadecimal: a cut inside a character leaves some on both sides. */
export function pieces(bytes) {
  const found = [];
  let text = "";
  const flush = () => {
    if (text) found.push({ text });
    text = "";
  };
  for (let at = 0; at < bytes.length; ) {
    let end = at;
    while (bytes[end] >= 0x20 && bytes[end] < 0x7f) end += 1;
    if (end > at) {
      text += DECODER.decode(bytes.subarray(at, end));
      at = end;
      continue;
    }
    const length = characterAt(bytes, at);
    if (!length) {
      flush();
      const hex = bytes[at].toString(16).toUpperCase().padStart(2, "0");
      found.push({ mark: hex, title: `byte ${hex}: part of a character`, cut: true });
      at += 1;
      continue;
    }
    const character = DECODER.decode(bytes.subarray(at, at + length));
    at += length;
    if (!INVISIBLE.test(character)) {
      text += character;
      continue;
    }
    flush();
    const code = character.codePointAt(0);
    const name = NAMES[code] ?? `U+${code.toString(16).toUpperCase().padStart(4, "0")}`;
    const breaks = code === 10 || (code === 13 && bytes[at] !== 10);
    found.push({ mark: name, title: name, breaks });
  }
  flush();
  return found;
}

/** Nodes that show some bytes; a line breaks after each end of a line. */
export function visible(bytes) {
  return pieces(bytes).flatMap(({ text, mark, title, breaks, cut }) => {
    if (mark === undefined) return [text];
    const shown = h("span", { class: cut ? "mark cut" : "mark", title }, mark);
    return breaks ? [shown, "\n"] : [shown];
  });
}

const DECODER = new TextDecoder("utf-8", { ignoreBOM: true });

/** How many bytes the character of UTF-8 has that begins here; 0 if none does. */
function characterAt(bytes, at) {
  const first = bytes[at];
  if (first < 0x80) return 1;
  const length = first >= 0xc2 && first < 0xe0 ? 2 : first >= 0xe0 && first < 0xf0 ? 3 : first >= 0xf0 && first < 0xf5 ? 4 : 0;
  if (!length || at + length > bytes.length) return 0;
  const second = bytes[at + 1];
  const [low, high] = { 0xe0: [0xa0, 0xbf], 0xed: [0x80, 0x9f], 0xf0: [0x90, 0xbf], 0xf4: [0x80, 0x8f] }[first] ?? [0x80, 0xbf];
  if (second < low || second > high) return 0;
  for (let next = 2; next < length; next += 1) if ((bytes[at + next] & 0xc0) !== 0x80) return 0;
  return length;
}
