// What the memory sees: the past frames that conditioned the shot at hand.

import { $, node, still } from "./dom.js";

export function showMemory(studio, selection) {
  const draw = () => {
    const { film } = studio;
    const shot = selection.shot;
    const take = shot?.takes.find((one) => one.id === film.running) ?? shot?.takes.find((one) => one.id === shot.chosen);
    const saw = take?.saw ?? [];
    $("memory-title").textContent = shot ? `What shot ${selection.index + 1} remembers` : "What the memory sees";
    $("memory-empty").hidden = saw.length > 0;
    const shotOf = new Map(film?.shots.flatMap((one, index) => one.takes.map((each) => [each.id, index + 1])));
    const key = JSON.stringify([film?.id, saw.map((seen) => [seen, shotOf.get(seen.take)])]);
    if ($("memory").dataset.key === key) return;
    $("memory").dataset.key = key;
    $("memory").replaceChildren(...saw.map((seen) => (shotOf.has(seen.take) ? remembered(film, seen, shotOf.get(seen.take)) : gone())));
  };
  studio.on("film hand", draw);
}

const remembered = (film, seen, shot) => node("figure", {},
  node("img", { src: still(film.id, seen.take, seen.frame), alt: `Frame ${seen.frame} of shot ${shot}` }), node("figcaption", {}, `shot ${shot}`));

const gone = () => node("figure", {}, node("div", { className: "gone" }), node("figcaption", {}, "gone"));
