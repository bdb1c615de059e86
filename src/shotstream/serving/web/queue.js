// What waits, and whether it is held.

import { $, button, fill, node, plain } from "./dom.js";

export function showQueue(studio) {
  const toggle = () => {
    if (!studio.film) return;
    if (studio.film.paused) studio.command("resume", {}, "The queue goes on.");
    else studio.command("pause", {}, "The queue is held; the running shot goes on to its end.");
  };
  $("pause").addEventListener("click", toggle);
  $("clear-queue").addEventListener("click", () => studio.command("clear", {}, "The queue is empty."));
  studio.on("film", (film) => {
    const waiting = film?.queue.length ?? 0;
    $("pause").disabled = !film?.shots.length;
    $("pause").firstChild.textContent = film?.paused ? "Resume " : "Pause ";
    $("pause").setAttribute("aria-label", film?.paused ? "Resume the queue" : "Pause the queue");
    $("pause").classList.toggle("held", Boolean(film?.paused));
    $("pause").title = film?.paused ? "Go on with what waits" : "Let the running shot end, then begin nothing more";
    $("making").textContent = film ? situation(film) : "";
    fill($("queue"), film ? rows(studio, film) : []);
    $("queue-empty").hidden = waiting > 0;
    $("clear-queue").hidden = waiting < 2;
  });
  return { toggle };
}

/** One line on what the studio is doing. */
function situation(film) {
  const running = film.shots.findIndex((shot) => shot.takes.some((take) => take.id === film.running));
  const parts = [];
  if (running >= 0) parts.push(`making shot ${running + 1}`);
  if (film.queue.length) parts.push(`${film.queue.length} waiting`);
  if (film.paused) parts.push("queue paused");
  return parts.join(", ");
}

function rows(studio, film) {
  const told = new Map(film.shots.flatMap((shot, index) => shot.takes.map((take) => [take.id, `${index + 1}. ${plain(take.caption)}`])));
  return film.queue.map((take) => node("li", {}, node("span", { title: told.get(take) }, told.get(take)),
    button("Remove", () => studio.command("remove", { take }, "Removed from the queue."), { ariaLabel: `Remove ${told.get(take)}`, data: { key: `queue-${take}` } })));
}
