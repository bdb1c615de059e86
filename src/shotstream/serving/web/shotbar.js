// The bar under the timeline: everything that can be done with the shot at hand.

import { $, chosenOf, lasts, node, plain, seconds } from "./dom.js";

// groups of [id, text, key, what it does]; the first group stands beside the shot's name
const ACTIONS = [
  [
    ["lock", "Lock", "K", "Let it stay as it is"],
    ["branch", "Branch", "B", "Go another way from here; this way is kept"],
    ["delete", "Delete", "Del", "Out of the film, with all its takes; undo brings it back"],
  ],
  [
    ["retake", "Retake", "R", "Make this shot again, with a new seed; the old take is kept"],
    ["again", "Make again", "", "The same seed again, in as many steps as now: a draft in few steps becomes the shot itself; the old take is kept"],
    ["edit", "Edit", "W", "Change its words, length or seed: a new take, or what waits as it shall be"],
    ["compare", "Compare", "V", "Watch two takes side by side"],
  ],
  [
    ["begin", "Begin here", "A", "Let the shot begin at the picture on the screen; what is before it is kept, and can be had back"],
    ["end", "End here", "Z", "Let the shot end with the picture on the screen"],
    ["whole", "Whole again", "", "Show all of the take"],
    ["mark", "Mark", "Q", "Write a note at the picture on the screen"],
  ],
  [
    ["insert", "Insert before", "I", "Write a new shot before this one"],
    ["duplicate", "Duplicate", "D", "A copy right behind it"],
    ["left", "Move left", "", "Earlier in the film (Alt ←)"],
    ["right", "Move right", "", "Later in the film (Alt →)"],
  ],
];
const TITLES = new Map(ACTIONS.flat().map(([id, , , title]) => [id, title]));

/** Why what cannot be done with shot `index` cannot be, by action; false for what can. */
function refusals(film, index) {
  const shot = film.shots[index];
  const it = `Shot ${index + 1}`;
  const take = chosenOf(shot) ?? shot.takes.at(-1);
  const made = shot.takes.filter((one) => one.state === "finished" || one.state === "cut").length;
  const running = shot.takes.some((one) => one.id === film.running) && `${it} is being made.`;
  const locked = shot.locked && `${it} is locked. Unlock it to change it.`;
  const unmade = shot.chosen === null && `${it} is not made yet.`;
  const trim = locked || unmade || running;
  return {
    retake: locked || unmade,
    again: locked || unmade || (take.source !== "" && `${it} is of your own footage.`),
    edit: locked || (unmade && running),
    compare: made < 2 && `${it} has no two takes yet: Retake makes another.`,
    begin: trim, end: trim, whole: trim, mark: unmade, lock: unmade, delete: locked,
    left: index === 0 && `${it} is the first.`,
    right: index === film.shots.length - 1 && `${it} is the last.`,
  };
}

/** Seed, adapters, steps and trim of a take, or where it is from. */
function about(take, trimmed, fps) {
  const adapters = Object.entries(take.lora).filter(([, weight]) => weight).map(([name, weight]) => `, ${plain(name)} ${weight}`);
  const trim = trimmed ? `, trimmed: ${seconds(lasts(take) / fps)} of ${seconds(take.frames / fps)}` : "";
  return `${take.source ? `from ${plain(take.source)}` : `seed ${take.seed}`}${adapters.join("")}${/ in \d+ steps?$/.exec(take.version)?.[0] ?? ""}${trim}`;
}

export function showShotbar(studio, selection, actions) {
  const [first, ...rest] = ACTIONS.map((group) => node("div", { className: "shot-group" }, ...group.map(([id, text, key]) => {
    const made = node("button", { type: "button", id }, node("span", {}, text), ...(key ? [node("kbd", { ariaHidden: "true" }, key)] : []));
    made.addEventListener("click", () => act(id));
    return made;
  })));
  $("shotbar-take").after(first);
  $("shot-actions").replaceChildren(...rest);

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
    $("shotbar-title").textContent = `Shot ${index + 1}`;
    $("lock").firstChild.textContent = shot.locked ? "Unlock" : "Lock";
    $("lock").setAttribute("aria-pressed", String(shot.locked));
    const take = chosenOf(shot) ?? shot.takes.at(-1);
    const trimmed = shot.chosen !== null && (take.start > 0 || take.stop < take.frames);
    $("shotbar-take").textContent = shot.locked ? "Locked: it stays as it is. Unlock it to change it." : about(take, trimmed, studio.film.fps);
    $("whole").hidden = !trimmed;
    const refused = refusals(studio.film, index);
    for (const [id, title] of TITLES) {
      $(id).disabled = Boolean(refused[id]);
      $(id).title = refused[id] || title;
    }
  }

  /** What a key asks for; why it cannot be done, if it cannot. */
  function press(id) {
    if (!selection.shot) return;
    const why = refusals(studio.film, selection.index)[id];
    if (why) studio.say(why);
    else act(id);
  }
  studio.on("film hand", draw);
  return { press };
}
