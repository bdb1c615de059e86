// The past frames that conditioned the shot at hand, and by which policy those to come are chosen.

import { $, chosenOf, node, plain, still } from "./dom.js";

const FIRST = "Nothing conditions the first shot. Later ones are conditioned on frames of the shots before, so that who and where stay the same over a cut.";

export function showMemory(studio, selection) {
  const draw = () => {
    const { film } = studio;
    const shot = selection.shot;
    const running = shot?.takes.find((one) => one.id === film.running);
    const take = running?.saw.length ? running : chosenOf(shot);
    const saw = take?.saw ?? [];
    $("memory-title").textContent = `Frames that condition ${shot ? `shot ${selection.index + 1}` : "this shot"}`;
    $("memory-empty").hidden = saw.length > 0;
    $("memory-empty").textContent = take ? "It was made as the first shot, which nothing conditions." : shot && selection.index > 0 ? "They are chosen when it is made." : FIRST;
    const shotOf = new Map(film?.shots.flatMap((one, index) => one.takes.map((each) => [each.id, `shot ${index + 1}`])));
    for (const { id, name } of film?.references ?? []) shotOf.set(id, plain(name));
    const key = JSON.stringify([film?.id, saw.map((seen) => [seen, shotOf.get(seen.take)])]);
    if ($("memory").dataset.key === key) return;
    $("memory").dataset.key = key;
    $("memory").replaceChildren(...saw.map((seen) => (shotOf.has(seen.take) ? condition(film, seen, shotOf.get(seen.take)) : gone())));
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

const condition = (film, seen, whose) => node("figure", {},
  node("img", { src: still(film.id, seen.take, seen.frame), alt: `Frame ${seen.frame} of ${whose}` }), node("figcaption", {}, whose));

const gone = () => node("figure", {}, node("div", { className: "gone" }), node("figcaption", {}, "gone"));
