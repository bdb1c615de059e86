// What could happen next, in words this film's model knows, and different enough from the last shot to read as a cut.

import { $, button, node } from "./dom.js";
import { write } from "./text.js";

const SHOWN = 3;

/** `count` captions for the shot behind those with captions `written`, of whom `story` speaks; none that is written
 * already, as long as there are others. The same film has the same ones. */
export function suggestions(groups, story, written, count = SHOWN) {
  const [previous, turn] = [written.at(-1) ?? "", written.length];
  const words = (name) => groups.find((group) => group.name === name)?.words ?? [];
  const [framings, actions] = [words("Framing"), words("Action")];
  if (!framings.length || !actions.length) return [];
  const has = (text, word) => new RegExp(`\\b${word.replace(/[.s]+$/, "")}`, "i").test(text);
  const cast = words("Who").filter((one) => has(story, one));
  const fresh = (list) => list.filter((one) => !has(previous, one.split(" ")[0]));
  const [frames, acts] = [fresh(framings), fresh(actions)].map((list, which) => (list.length ? list : [framings, actions][which]));
  const all = acts.map((_, number) => {
    const at = turn * 2 + number;
    const who = cast.length ? `The ${cast[at % cast.length]}` : "It";
    return `${frames[at % frames.length]} ${who} ${acts[(turn * count + number) % acts.length]}.`;
  });
  const others = all.filter((one) => !written.includes(one));
  return (others.length ? others : all).slice(0, count);
}

export function showSuggestions(studio, composer) {
  const field = $("prompt");
  let groups = [];
  let offers = [];

  function draw() {
    const written = (studio.film?.shots ?? []).slice(0, composer.at).map((shot) => shot.caption);
    const story = studio.film?.global_caption ?? ($("caption").value.trim() || $("caption").placeholder);
    offers = suggestions(groups, story, written);
    if (!$("prompt").dataset.placeholder) field.dataset.placeholder = field.placeholder;
    field.placeholder = offers[0] ?? (studio.film ? "Write what happens next." : field.dataset.placeholder);
    const key = JSON.stringify(offers);
    if ($("offers").dataset.key === key) return;
    $("offers").dataset.key = key;
    $("offers").replaceChildren(...offers.map((text) => node("li", {}, button(text, () => put(text), { title: "Write this; then change it, or shoot" }))));
  }

  function put(text) {
    const mine = field.value.trim();
    const replace = mine === "" || offers.includes(mine);
    write(field, replace ? text : `${mine}\n\n${text}`);
    field.focus();
  }

  studio.on("palette", (read) => { groups = read; draw(); });
  studio.on("film", draw);
  $("caption").addEventListener("input", draw);
  /** Write the next of the suggestions. */
  return () => offers.length && put(offers[(offers.indexOf(field.value.trim()) + 1) % offers.length]);
}
