// The keyboard: one table of keys, what each does, and the dialog that lists them.

import { $, node } from "./dom.js";

const named = (event) => `${event.ctrlKey || event.metaKey ? "Ctrl+" : ""}${event.altKey ? "Alt+" : ""}${event.shiftKey && (event.key.length > 1 || event.ctrlKey || event.metaKey) ? "Shift+" : ""}${event.key.length === 1 ? event.key.toLowerCase() : event.key}`;
const SHOWN = { " ": "Space", ArrowLeft: "←", ArrowRight: "→", Enter: "↵", Delete: "Del", Escape: "Esc" };
const shown = (key) => (key === " " ? "Space" : key.split("+").map((part) => SHOWN[part] ?? (part.length === 1 ? part.toUpperCase() : part)).join(" "));

/** `table`: [group, [[keys, text, act], ...]] rows; all of a row's keys are shown. */
export function listenToKeys(table) {
  const rows = table.flatMap(([, group]) => group);
  const acts = new Map(rows.flatMap(([keys, , act]) => keys.map((key) => [key, act])));
  const single = $("single-keys");
  single.checked = localStorage.singleKeys !== "off";
  single.addEventListener("change", () => { localStorage.singleKeys = single.checked ? "on" : "off"; });

  document.addEventListener("keydown", (event) => {
    if (document.querySelector("dialog[open]")) return;
    const key = named(event);
    const act = acts.get(key);
    if (key === "Escape") event.target.blur?.();
    if (!act) return;
    const everywhere = key === "Ctrl+Enter";
    if (!everywhere && event.target.closest("textarea, input, select")) return;
    if ((key === " " || key === "Enter") && event.target.closest("button, a")) return;
    if (key.length === 1 && key !== "?" && !single.checked) return;
    event.preventDefault();
    act();
  });
  $("keys-list").replaceChildren(...table.map(([title, group]) => node("section", {}, node("h3", {}, title),
    node("dl", {}, ...group.map(([keys, text]) => node("div", {}, node("dt", {}, ...keys.map((key) => node("kbd", {}, shown(key)))), node("dd", {}, text)))))));
  $("keys-open").addEventListener("click", () => { $("keys-dialog").showModal(); $("keys-dialog").scrollTop = 0; });
  $("keys-close").addEventListener("click", () => $("keys-dialog").close());
}
