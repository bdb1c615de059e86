// One shot on the timeline: its picture, its takes, and whether it is made, waits, is outdated or locked.

import { button, chosenOf, icon, lasts, middle, node, plain, seconds, still } from "./dom.js";

const isMade = (take) => take.state === "finished" || take.state === "cut";

/** What was changed since an outdated shot was made, one of `several`. */
export const outdatedBy = (shot, several = false) => (chosenOf(shot).story === null ? `the shots ${several ? "they depend" : "it depends"} on` : "the story");

/** What a card depends on; another card is needed only when this is another text. */
export function cardKey(film, shot, index) {
  return JSON.stringify([film.id, index, shot, shot.takes.some((take) => take.id === film.running)]);
}

/** The card of shot `index`; `acts`: pick, play, choose, remove, remake. */
export function makeCard(film, shot, index, acts) {
  const chosen = chosenOf(shot);
  const running = shot.takes.find((take) => take.id === film.running);
  const planned = shot.takes.find((take) => take.state === "planned");
  const caption = plain([shot.caption, ...(chosen?.changes ?? [])].join(" → "));
  const card = node("li", { className: "shot", data: { index } },
    picture(film, shot, index, { chosen, running, planned }, acts),
    words(index, caption, acts),
    takes(film, shot, index, acts));
  if (planned && !running) card.lastChild.append(...waiting(index, planned, chosen, acts));
  if (shot.stale && !planned && !running && !shot.locked) {
    card.lastChild.append(button("Remake", () => acts.remake(index), { className: "stale", title: `Made before you changed ${outdatedBy(shot)}: make it again, with its own seed`, ariaLabel: `Remake shot ${index + 1}: it was made before you changed ${outdatedBy(shot)}`, data: { key: `remake-${index}` } }));
  }
  card.style.setProperty("--seconds", chosen ? lasts(chosen) / film.fps : shot.seconds);
  if (chosen && !running && !shot.locked) card.append(...edges(chosen));
  card.classList.toggle("planned", !chosen);
  card.classList.toggle("is-stale", shot.stale);
  return card;
}

const cards = new WeakMap(); // command -> its card

/** The card of a shot that is on its way: `command` is sent, or taken in until the block under work is made. */
export function comingCard(command) {
  if (!cards.has(command)) cards.set(command, node("li", { className: "coming" }, node("span", { className: "unmade" }), node("p", {}, plain(command.caption))));
  const card = cards.get(command);
  card.firstChild.textContent = command.accepted ? "taken in" : "on its way";
  return card;
}

/** The words of a shot: pressed, they can be changed. */
function words(index, caption, acts) {
  return button(caption, () => { acts.pick(index); acts.edit(); }, { className: "what", title: `${caption} (press to change it)`, data: { key: `words-${index}` } });
}

function picture(film, shot, index, { chosen, running, planned }, acts) {
  const states = [shot.stale && "outdated", shot.locked && "locked", running ? "being made" : planned && (chosen ? "a take waits" : "waits")].filter(Boolean);
  const see = node("button", { type: "button", className: "see", ariaLabel: `Shot ${index + 1}: ${plain(shot.caption)}${states.map((one) => `, ${one}`).join("")}`, data: { key: `see-${shot.takes[0].id}` } });
  see.setAttribute("aria-describedby", "strip-help");
  see.addEventListener("click", () => acts.pick(index));
  see.addEventListener("dblclick", () => acts.play());
  if (chosen) see.append(node("img", { src: still(film.id, chosen.id, middle(chosen)), alt: "", loading: "lazy", draggable: false }));
  else see.append(node("span", { className: "unmade" }, running ? "being made…" : "waits"));
  see.append(node("span", { className: "number" }, `${index + 1}`, ...(shot.locked ? [icon("lock")] : [])), node("span", { className: "length" }, chosen ? seconds(lasts(chosen) / film.fps) : shot.endless ? "until cut" : seconds(shot.seconds)), ...(chosen ? pins(chosen) : []));
  if (shot.stale) see.append(node("span", { className: "badge", title: `Made before you changed ${outdatedBy(shot)}` }, "outdated"));
  if (running && !shot.endless) see.append(node("progress", { max: Math.max(1, Math.round(shot.seconds * film.fps)), value: running.frames, ariaHidden: "true" }));
  return node("div", { className: "frame" }, see, node("span", { className: "grip", ariaHidden: "true", title: "Drag to move the shot" }, "⠿"));
}

/** Where its markers are, for the eye; the bar below lists them. */
const pins = (take) => take.markers.filter(({ frame }) => take.start <= frame && frame < take.stop).map(({ frame, text }) => {
  const pin = node("span", { className: "pin", title: plain(text) });
  pin.style.left = `${((frame - take.start + 0.5) / lasts(take)) * 100}%`;
  return pin;
});

/** Its in and out points, to drag with a mouse; keys A and Z do the same. */
const edges = (take) => ["start", "stop"].map((edge) => node("span", { className: `edge ${edge}`, ariaHidden: "true", title: edge === "start" ? "Drag: where the shot begins (A)" : "Drag: where it ends (Z)", data: { edge, take: take.id, cut: edge === "start" ? take.start > 0 : take.stop < take.frames } }));

function takes(film, shot, index, acts) {
  const group = node("div", { className: "takes", role: "group", ariaLabel: `Takes of shot ${index + 1}` });
  shot.takes.filter(isMade).forEach((take, number, all) => {
    const label = `Take ${number + 1} of shot ${index + 1}`;
    const one = node("button", { type: "button", className: "take", ariaPressed: String(take.id === shot.chosen), ariaLabel: label, title: `${take.id === shot.chosen ? `${label}, in the film` : `Put take ${number + 1} into the film`}; seed ${take.seed}`, data: { key: `take-${take.id}` } });
    one.addEventListener("click", () => acts.choose(index, take.id, number));
    if (all.length > 1) one.append(node("img", { src: still(film.id, take.id, middle(take)), alt: "", loading: "lazy", draggable: false }));
    one.append(node("span", {}, all.length > 1 ? `${number + 1}` : "take 1"));
    group.append(one);
  });
  return group;
}

const waiting = (index, planned, chosen, acts) => [
  node("span", { className: "note" }, chosen ? "a take waits" : "waits"),
  button("✕", () => acts.remove(planned.id), { className: "quiet", title: "Take it out of the queue", ariaLabel: `Remove the queued take of shot ${index + 1}`, data: { key: `unplan-${planned.id}` } }),
];
