// Making and filling elements.

export const $ = (id) => document.getElementById(id);

/** An element with properties, `aria…` and `role` as attributes, `data` as its dataset, and children. */
export function node(tag, fields = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(fields)) {
    if (name === "data") Object.assign(made.dataset, value);
    else if (name.startsWith("aria") || name === "role") made.setAttribute(name.replace("aria", "aria-").toLowerCase(), value);
    else made[name] = value;
  }
  made.append(...children);
  return made;
}

/** A button that says what it does. */
export const button = (text, onclick, fields = {}) => node("button", { type: "button", onclick, ...fields }, text);

/** A drawing of the page's own set, for the eye alone. */
export function icon(name) {
  const svg = (tag) => document.createElementNS("http://www.w3.org/2000/svg", tag);
  const [made, use] = [svg("svg"), svg("use")];
  made.setAttribute("class", "i");
  made.setAttribute("aria-hidden", "true");
  use.setAttribute("href", `#i-${name}`);
  made.append(use);
  return made;
}

/** Fill `list` with `children`; the keyboard stays on what has the same `data-key`. */
export function fill(list, children) {
  const focused = list.contains(document.activeElement) ? document.activeElement.dataset.key : null;
  list.replaceChildren(...children);
  if (focused) list.querySelector(`[data-key="${focused}"]`)?.focus();
}

/** The address of one frame of a made take. */
export const still = (film, take, frame) => `api/films/${film}/takes/${take}/frames/${frame}`;

/** The take of `shot` that is in the film, if there is one. */
export const chosenOf = (shot) => shot?.takes.find((take) => take.id === shot.chosen);

/** How many frames of a take are in the film, and the one in their middle. */
export const lasts = (take) => take.stop - take.start;
export const middle = (take) => take.start + Math.floor(lasts(take) / 2);

/** `text` without the characters that turn text around it about: what they do is theirs alone. */
export const plain = (text) => text.replace(/[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/g, "\ufffd");

export const seconds = (value) => `${value.toFixed(1)} s`;
export const size = (bytes) => (bytes < 1e6 ? `${Math.ceil(bytes / 1e3)} kB` : bytes < 1e9 ? `${(bytes / 1e6).toFixed(1)} MB` : `${(bytes / 1e9).toFixed(2)} GB`);
export const many = (count, thing) => `${count} ${thing}${count === 1 ? "" : "s"}`;
