// What the model understands, to press instead of type: who, colour, wears, where, light, action, framing, camera.

import { $, button, fill } from "./dom.js";
import { insert } from "./text.js";
import { call } from "./wire.js";

const ARTICLES = /\b(a|an|the)$/i;

/** Read the palette, but for what this model does not know; empty for a model that reads any word. */
export async function readPalette() {
  const [groups, known] = await Promise.all([call("palette.json"), call("api/words")]).catch(() => [[], []]);
  const words = new Set(known);
  const all = (text) => text.toLowerCase().match(/[a-z-]+/g).every((word) => words.has(word));
  return groups.map((group) => ({ ...group, words: group.words.filter(all) })).filter((group) => group.words.length);
}

export function showPalette(studio) {
  let pen = $("prompt"); // the box that was written in last
  let open = "Framing";
  let groups = [];
  for (const field of [$("prompt"), $("caption")]) field.addEventListener("focus", () => { pen = field; });
  studio.on("opened", (film) => { if (film) pen = $("prompt"); });
  studio.on("palette", (read) => { groups = read; draw(); });

  function draw() {
    $("palette").hidden = groups.length === 0;
    fill($("palette-groups"), groups.map(({ name }) => button(name, () => { open = name; draw(); }, { ariaPressed: String(name === open), data: { key: `kind-${name}` } })));
    const group = groups.find(({ name }) => name === open) ?? groups[0];
    $("palette-words").replaceChildren(...(group?.words ?? []).map((word) => button(word, () => put(group, word))));
  }

  function put(group, word) {
    const before = pen.value.slice(0, pen.selectionStart).trimEnd();
    const begins = before === "" || /[.!?\n]$/.test(before);
    const named = group.noun && !ARTICLES.test(before) && !endsWith(groups, "Colour", before) ? `${article(pen, word)} ${word}` : word;
    insert(pen, begins && !group.sentence ? named[0].toUpperCase() + named.slice(1) : named);
    pen.focus();
  }
}

const endsWith = (groups, name, text) => (groups.find((group) => group.name === name)?.words ?? []).some((word) => text.toLowerCase().endsWith(word));

/** A story brings somebody in ("a fox"), a shot speaks of who is known ("the fox"). */
const article = (pen, word) => (pen.id === "prompt" ? "the" : /^[aeiou]/.test(word) ? "an" : "a");
