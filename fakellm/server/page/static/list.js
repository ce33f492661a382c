// Shows a long list with the elements of what is in view alone, all of one height. Knows no request.

import { h } from "./dom.js";

const BEYOND = 6;
let made = 0;

/** A list box of `items`, each with a `key`. `render` fills an element with an item. It follows the end while the end
 * is in view. */
export class List {
  constructor(element, { height, label, render, onSelect, onFollow, onOpen }) {
    this.items = [];
    this.selected = null;
    this.following = true;
    this.#height = height;
    this.#render = render;
    this.#onSelect = onSelect;
    this.#onFollow = onFollow;
    this.#onOpen = onOpen;
    this.#rows = h("div", { role: "presentation", class: "rows" });
    this.#box = element;
    const attributes = { role: "listbox", tabindex: "0", "aria-label": label, class: "list" };
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    element.append(this.#rows);
    element.addEventListener("scroll", () => {
      const { scrollTop, clientHeight, scrollHeight } = this.#box;
      if (scrollTop + clientHeight >= scrollHeight - 4) this.#follow(true);
      else if (scrollTop < this.#top) this.#follow(false); // else the list has grown
      this.#top = scrollTop;
      this.#draw();
    });
    element.addEventListener("keydown", (event) => this.#key(event));
    // Not with a click alone: what a row shows may have been replaced between the press and the release.
    for (const name of ["mousedown", "click"]) element.addEventListener(name, (event) => this.#press(event));
    new ResizeObserver(() => this.draw()).observe(element);
  }

  #height;
  #render;
  #onSelect;
  #onFollow;
  #onOpen;
  #rows;
  #box;
  #elements = new Map();
  #stale = new Set();
  #top = 0;

  /** Shows these items; those with a key of `changed`, or all, are rendered again. */
  update(items, changed = null) {
    this.items = items;
    for (const key of changed ?? this.#elements.keys()) this.#stale.add(key);
    this.draw();
  }

  /** Draws what is in view, with the end if the list follows it. */
  draw() {
    this.#rows.style.height = `${this.items.length * this.#height}px`;
    if (this.following) this.#box.scrollTop = this.#box.scrollHeight;
    this.#draw();
  }

  /** Scrolls to the end, and follows it from then on. */
  toEnd() {
    this.#follow(true);
    this.draw();
  }

  /** Selects the item with a key, and scrolls to it. */
  select(key) {
    this.selected = key;
    const at = this.items.findIndex((item) => item.key === key);
    if (at >= 0) this.#reveal(at);
    this.#draw();
  }

  /** Selects the item so many places after the selected one. */
  move(by) {
    if (!this.items.length) return;
    const at = this.items.findIndex((item) => item.key === this.selected);
    const start = at >= 0 ? at : by > 0 ? -1 : this.items.length;
    const item = this.items[Math.min(Math.max(start + by, 0), this.items.length - 1)];
    this.select(item.key);
    this.#onSelect(item);
  }

  #reveal(at) {
    const top = at * this.#height;
    const { scrollTop, clientHeight } = this.#box;
    if (top < scrollTop) this.#box.scrollTop = top;
    else if (top + this.#height > scrollTop + clientHeight) this.#box.scrollTop = top + this.#height - clientHeight;
  }

  #follow(following) {
    if (following === this.following) return;
    this.following = following;
    this.#onFollow(following);
  }

  #draw() {
    const { scrollTop, clientHeight } = this.#box;
    const first = Math.max(Math.floor(scrollTop / this.#height) - BEYOND, 0);
    const last = Math.min(Math.ceil((scrollTop + clientHeight) / this.#height) + BEYOND, this.items.length);
    const inView = new Set();
    for (let at = first; at < last; at += 1) {
      const item = this.items[at];
      inView.add(item.key);
      const element = this.#element(item);
      element.style.transform = `translateY(${at * this.#height}px)`;
      element.setAttribute("aria-posinset", at + 1);
      element.setAttribute("aria-setsize", this.items.length);
      element.setAttribute("aria-selected", item.key === this.selected);
    }
    for (const [key, element] of this.#elements) {
      if (inView.has(key)) continue;
      element.remove();
      this.#elements.delete(key);
    }
    this.#stale.clear();
    const active = this.#elements.get(this.selected);
    if (active) this.#box.setAttribute("aria-activedescendant", active.id);
    else this.#box.removeAttribute("aria-activedescendant");
  }

  /** The element of an item, which shows it as it is now. */
  #element(item) {
    const before = this.#elements.get(item.key);
    if (before && !this.#stale.has(item.key)) return before;
    const element = before ?? h("div", { role: "option", id: `option-${(made += 1)}`, class: "row" });
    this.#render(element, item);
    if (!before) {
      element.dataset.key = item.key;
      this.#elements.set(item.key, element);
      this.#rows.append(element);
    }
    return element;
  }

  #press(event) {
    const key = event.button === 0 && event.target.closest("[data-key]")?.dataset.key;
    const item = key && key !== this.selected && this.items.find((each) => each.key === key);
    if (!item) return;
    this.select(item.key);
    this.#onSelect(item);
  }

  #key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const page = Math.max(Math.floor(this.#box.clientHeight / this.#height) - 1, 1);
    const all = this.items.length;
    const by = { ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page, Home: -all, End: all }[event.key];
    if (by === undefined && event.key !== "Enter") return;
    event.preventDefault();
    if (by === undefined) this.#onOpen();
    else this.move(by);
  }
}
