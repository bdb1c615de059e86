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

/** Fill `list` with `children`; the keyboard stays on what has the same `data-key`. */
export function fill(list, children) {
  const focused = list.contains(document.activeElement) ? document.activeElement.dataset.key : null;
  list.replaceChildren(...children);
  if (focused) list.querySelector(`[data-key="${focused}"]`)?.focus();
}

/** The address of one frame of a made take. */
export const still = (film, take, frame) => `/api/films/${film}/takes/${take}/frames/${frame}`;

export const seconds = (value) => `${value.toFixed(1)} s`;
export const many = (count, thing) => `${count} ${thing}${count === 1 ? "" : "s"}`;
