// The bar under the timeline: everything that can be done with the shot at hand.

import { $, button, node } from "./dom.js";

const ACTIONS = [
  ["retake", "Retake", "R", "Make this shot again, with new noise; the old take is kept"],
  ["compare", "Compare", "V", "Watch two takes side by side"],
  ["insert", "Insert before", "I", "Write a new shot before this one"],
  ["duplicate", "Duplicate", "D", "A copy right behind it"],
  ["lock", "Lock", "K", "Let it stay as it is"],
  ["branch", "Branch", "B", "Go another way from here; this way is kept"],
  ["left", "Move left", "Alt ←", "Earlier in the film"],
  ["right", "Move right", "Alt →", "Later in the film"],
  ["delete", "Delete", "Del", "Out of the film, with all its takes; undo brings it back"],
];

export function showShotbar(studio, selection, actions) {
  const buttons = ACTIONS.map(([id, text, key, title]) => {
    const made = node("button", { type: "button", id, title }, node("span", {}, text), node("kbd", { ariaHidden: "true" }, key));
    made.addEventListener("click", () => act(id));
    return made;
  });
  $("shot-actions").replaceChildren(...buttons);

  function act(id) {
    const { index } = selection;
    if (index === null) return;
    if (id === "left") actions.move(index, index - 1);
    else if (id === "right") actions.move(index, index + 1);
    else actions[id](index);
  }

  function draw() {
    const { shot, index } = selection;
    $("shotbar").hidden = !shot;
    if (!shot) return;
    const made = shot.takes.filter((take) => take.state === "finished" || take.state === "cut").length;
    $("shotbar-title").textContent = `Shot ${index + 1}`;
    $("lock").firstChild.textContent = shot.locked ? "Unlock" : "Lock";
    $("lock").setAttribute("aria-pressed", String(shot.locked));
    $("retake").disabled = shot.chosen === null || shot.locked;
    $("compare").disabled = made < 2;
    $("lock").disabled = shot.chosen === null;
    $("delete").disabled = shot.locked;
    $("left").disabled = index === 0;
    $("right").disabled = index === studio.film.shots.length - 1;
  }
  studio.on("film hand", draw);
  return { press: (id) => { if (selection.shot && !$(id).disabled) act(id); } };
}
