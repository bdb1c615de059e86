// The bar under the timeline: everything that can be done with the shot at hand.

import { $, chosenOf, lasts, node, plain, seconds } from "./dom.js";

const ACTIONS = [
  ["retake", "Retake", "R", "Make this shot again, with new noise; the old take is kept"],
  ["again", "Make again", "", "The same seed again, in as many steps as now: a draft in few steps becomes the shot itself; the old take is kept"],
  ["edit", "Edit", "W", "Change its words, length or seed: a new take, or what waits as it shall be"],
  ["compare", "Compare", "V", "Watch two takes side by side"],
  ["begin", "Begin here", "A", "Let the shot begin at the picture on the screen; what is before it is kept, and can be had back"],
  ["end", "End here", "Z", "Let the shot end with the picture on the screen"],
  ["whole", "Whole again", "", "Show all of the take"],
  ["mark", "Mark", "Q", "Write a note at the picture on the screen"],
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
    const made = node("button", { type: "button", id, title }, node("span", {}, text), ...(key ? [node("kbd", { ariaHidden: "true" }, key)] : []));
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
    const take = chosenOf(shot) ?? shot.takes.at(-1);
    const trimmed = shot.chosen !== null && (take.start > 0 || take.stop < take.frames);
    $("shotbar-take").textContent = shot.locked ? "Locked: it stays as it is. Unlock it to change it." : `${take.source ? `from ${plain(take.source)}` : `seed ${take.seed}`}${Object.entries(take.lora).filter(([, weight]) => weight).map(([name, weight]) => `, ${plain(name)} ${weight}`).join("")}${/ in \d+ steps?$/.exec(take.version)?.[0] ?? ""}${trimmed ? `, trimmed: ${seconds(lasts(take) / studio.film.fps)} of ${seconds(take.frames / studio.film.fps)}` : ""}`;
    $("edit").disabled = shot.locked || (shot.chosen === null && take.id === studio.film.running);
    $("retake").disabled = shot.chosen === null || shot.locked;
    $("again").disabled = shot.chosen === null || shot.locked || take.source !== "";
    $("compare").disabled = made < 2;
    $("lock").disabled = shot.chosen === null;
    $("delete").disabled = shot.locked;
    for (const id of ["begin", "end"]) $(id).disabled = shot.chosen === null || shot.locked || shot.takes.some((one) => one.id === studio.film.running);
    $("whole").hidden = !trimmed;
    $("whole").disabled = shot.locked;
    $("mark").disabled = shot.chosen === null;
    $("left").disabled = index === 0;
    $("right").disabled = index === studio.film.shots.length - 1;
  }
  studio.on("film hand", draw);
  return { press: (id) => { if (selection.shot && !$(id).disabled) act(id); } };
}
