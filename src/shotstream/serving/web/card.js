// One shot on the timeline: its picture, its takes, and whether it is made, waits, is stale or locked.

import { button, node, seconds, still } from "./dom.js";

const isMade = (take) => take.state === "finished" || take.state === "cut";

/** What a card depends on; another card is needed only when this is another text. */
export function cardKey(film, shot, index) {
  return JSON.stringify([film.id, index, shot, shot.takes.some((take) => take.id === film.running)]);
}

/** The card of shot `index`; `acts`: pick, play, choose, remove, remake. */
export function makeCard(film, shot, index, acts) {
  const chosen = shot.takes.find((take) => take.id === shot.chosen);
  const running = shot.takes.find((take) => take.id === film.running);
  const planned = shot.takes.find((take) => take.state === "planned");
  const caption = [shot.caption, ...(chosen?.changes ?? [])].join(" → ");
  const card = node("li", { className: "shot", data: { index } },
    picture(film, shot, index, { chosen, running, planned }, acts),
    node("p", { className: "what", title: caption }, caption),
    takes(film, shot, index, acts));
  if (planned && !running) card.lastChild.append(...waiting(index, planned, chosen, acts));
  if (shot.stale && !planned && !running && !shot.locked) {
    card.lastChild.append(button("Remake", () => acts.remake(index), { className: "stale", title: "It remembers frames that are no longer in the film", ariaLabel: `Remake shot ${index + 1}: it remembers frames that are gone`, data: { key: `remake-${index}` } }));
  }
  card.classList.toggle("planned", !chosen);
  card.classList.toggle("is-stale", shot.stale);
  return card;
}

function picture(film, shot, index, { chosen, running, planned }, acts) {
  const states = [shot.stale && "stale", shot.locked && "locked", running ? "being made" : planned && (chosen ? "a take waits" : "waits")].filter(Boolean);
  const see = node("button", { type: "button", className: "see", ariaLabel: `Shot ${index + 1}: ${shot.caption}${states.map((one) => `, ${one}`).join("")}`, data: { key: `see-${shot.takes[0].id}` } });
  see.setAttribute("aria-describedby", "strip-help");
  see.addEventListener("click", () => acts.pick(index));
  see.addEventListener("dblclick", () => acts.play());
  if (chosen) see.append(node("img", { src: still(film.id, chosen.id, Math.floor(chosen.frames / 2)), alt: "", loading: "lazy", draggable: false }));
  else see.append(node("span", { className: "unmade" }, running ? "being made…" : "waits"));
  see.append(node("span", { className: "number" }, `${index + 1}`), node("span", { className: "length" }, seconds(chosen ? chosen.frames / film.fps : shot.seconds)));
  const badges = node("span", { className: "badges" });
  if (shot.stale) badges.append(node("span", { className: "badge amber" }, "stale"));
  if (shot.locked) badges.append(node("span", { className: "badge" }, "locked"));
  see.append(badges);
  if (running) see.append(node("progress", { max: Math.max(1, Math.round(shot.seconds * film.fps)), value: running.frames, ariaHidden: "true" }));
  return node("div", { className: "frame" }, see, node("span", { className: "grip", ariaHidden: "true", title: "Drag to move the shot" }, "⠿"));
}

function takes(film, shot, index, acts) {
  const group = node("div", { className: "takes", role: "group", ariaLabel: `Takes of shot ${index + 1}` });
  shot.takes.filter(isMade).forEach((take, number, all) => {
    const label = `Take ${number + 1} of shot ${index + 1}`;
    const one = node("button", { type: "button", className: "take", ariaPressed: String(take.id === shot.chosen), ariaLabel: label, title: take.id === shot.chosen ? `${label}, in the film` : `Put take ${number + 1} into the film`, data: { key: `take-${take.id}` } });
    one.addEventListener("click", () => acts.choose(index, take.id, number));
    if (all.length > 1) one.append(node("img", { src: still(film.id, take.id, Math.floor(take.frames / 2)), alt: "", loading: "lazy", draggable: false }));
    one.append(node("span", {}, all.length > 1 ? `${number + 1}` : "take 1"));
    group.append(one);
  });
  return group;
}

const waiting = (index, planned, chosen, acts) => [
  node("span", { className: "note" }, chosen ? "a take waits" : "waits"),
  button("✕", () => acts.remove(planned.id), { className: "quiet", title: "Take it out of the queue", ariaLabel: `Remove the planned take of shot ${index + 1}`, data: { key: `unplan-${planned.id}` } }),
];
