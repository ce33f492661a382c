// Makes elements. Text from elsewhere becomes text nodes, never markup: nothing here or in the other modules parses HTML.

/** An element, such as `h("a", { href: "#/", class: "back" }, "Back")`. Functions are listeners, `true` is an empty
 * attribute, and `null`, `undefined` and `false` are left out, in attributes and in children. */
export function h(name, attributes = {}, ...children) {
  return fill(document.createElement(name), attributes, children);
}

/** An element of SVG. */
export function svg(name, attributes = {}, ...children) {
  return fill(document.createElementNS("http://www.w3.org/2000/svg", name), attributes, children);
}

/** The element with an id of the page. */
export function byId(id) {
  return document.getElementById(id);
}

/** Replaces what is in an element. */
export function show(element, ...children) {
  element.replaceChildren(...nodes(children));
}

/** A number of things, such as `1 rule` or `2,000 rules`. */
export function count(number, thing) {
  return `${number.toLocaleString("en")} ${thing}${number === 1 ? "" : "s"}`;
}

/** A button; `key` is the key that does the same, which its title names. */
export function button(label, onclick, { key, ...attributes } = {}) {
  return h("button", { type: "button", onclick, title: key && `Key: ${key}`, ...attributes }, label);
}

/** Copies a text, and shows in the button whether that worked. */
export function copyButton(label, text) {
  const made = button(label, async () => {
    made.textContent = (await copy(await text()).then(() => true, () => false)) ? "Copied" : "Could not be copied";
    setTimeout(() => (made.textContent = label), 1500);
  });
  return made;
}

async function copy(text) {
  if (navigator.clipboard) return navigator.clipboard.writeText(text);
  const area = h("textarea", { class: "hidden" }, text); // a page that does not come from this machine has no clipboard
  document.body.append(area);
  area.select();
  const copied = document.execCommand("copy");
  area.remove();
  if (!copied) throw new Error("not copied");
}

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (typeof value === "function") element.addEventListener(name.replace(/^on/, ""), value);
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...nodes(children));
  return element;
}

function nodes(children) {
  return children.flat(Infinity).filter((each) => each !== null && each !== undefined && each !== false);
}
