// What the memory sees: the past frames that conditioned the shot at hand.

import { $, chosenOf, node, plain, still } from "./dom.js";

export function showMemory(studio, selection) {
  const draw = () => {
    const { film } = studio;
    const shot = selection.shot;
    const take = shot?.takes.find((one) => one.id === film.running) ?? chosenOf(shot);
    const saw = take?.saw ?? [];
    $("memory-title").textContent = shot ? `What shot ${selection.index + 1} remembers` : "What the memory sees";
    $("memory-empty").hidden = saw.length > 0;
    const shotOf = new Map(film?.shots.flatMap((one, index) => one.takes.map((each) => [each.id, `shot ${index + 1}`])));
    for (const { id, name } of film?.references ?? []) shotOf.set(id, plain(name));
    const key = JSON.stringify([film?.id, saw.map((seen) => [seen, shotOf.get(seen.take)])]);
    if ($("memory").dataset.key === key) return;
    $("memory").dataset.key = key;
    $("memory").replaceChildren(...saw.map((seen) => (shotOf.has(seen.take) ? remembered(film, seen, shotOf.get(seen.take)) : gone())));
  };
  studio.on("film hand", draw);
  studio.on("film", (film) => {
    $("memory-row").hidden = !film;
    if (film) choose(film.context_policy ?? "");
  });
  $("memory-policy").addEventListener("change", async (event) => {
    if (!(await studio.command("context_policy", { policy: event.target.value || null }, "From now on, frames are chosen otherwise."))) choose(studio.film?.context_policy ?? "");
  });
}

/** Show the policy a film has; one that the page does not offer, by its name. */
function choose(name) {
  const list = $("memory-policy");
  if (![...list.options].some((one) => one.value === name)) list.append(node("option", { value: name }, name));
  list.value = name;
}

const remembered = (film, seen, whose) => node("figure", {},
  node("img", { src: still(film.id, seen.take, seen.frame), alt: `Frame ${seen.frame} of ${whose}` }), node("figcaption", {}, whose));

const gone = () => node("figure", {}, node("div", { className: "gone" }), node("figcaption", {}, "gone"));
