// The screen and what moves the playhead: play, scrub, live; and directing the shot that is being made.

import { $, node, plain } from "./dom.js";

export function showStage(studio, player) {
  studio.on("opened", (film) => {
    player.open(film);
    if (film) document.documentElement.style.setProperty("--ratio", film.width / film.height);
  });
  studio.on("film", (film) => {
    if (film) player.load(film);
    $("empty").hidden = Boolean(film?.shots.length);
    document.body.classList.toggle("has-shots", Boolean(film?.shots.length));
    showPlace(studio.film, player);
    showDirecting(film);
  });
  studio.on("coming", () => showComing(studio));
  studio.on("picture", (picture) => player.see(picture));
  player.addEventListener("moved", () => showPlace(studio.film, player));

  const byHand = (act) => () => { act(); player.dispatchEvent(new Event("taken")); };
  $("play").addEventListener("click", () => player.toggle());
  $("scrub").addEventListener("input", byHand(() => player.seek(Number($("scrub").value))));
  $("live").addEventListener("click", byHand(() => player.follow()));
  $("cut").addEventListener("click", () => studio.command("cut", {}, "Cut."));
  $("extend").addEventListener("click", () => studio.command("extend", { blocks: 1 }, "Extended."));
  $("stop").addEventListener("click", () => (studio.film?.paused ? studio.command("resume", {}, "The queue goes on.") : studio.command("stop", {}, "Stopped.")));
}

function showPlace(film, player) {
  const at = player.here();
  const empty = !film || !player.length;
  for (const id of ["scrub", "play", "step-back", "step-on"]) $(id).disabled = empty;
  $("scrub").max = Math.max(0, player.length - 1);
  $("scrub").value = player.place;
  const [now, all] = [player.place / (player.fps ?? 16), player.length / (player.fps ?? 16)];
  $("time").textContent = empty ? "0.0 s" : `${now.toFixed(1)} / ${all.toFixed(1)} s`;
  $("scrub").setAttribute("aria-valuetext", at ? `shot ${at.shot + 1}, ${now.toFixed(1)} seconds` : "nothing yet");
  const { mode } = player;
  $("play").dataset.playing = mode === "live" || mode === "playing";
  $("play").setAttribute("aria-label", { live: "Hold the live picture", held: "Go on live", playing: "Pause", paused: "Play" }[mode]);
  $("screen").dataset.mode = mode;
  $("live").hidden = !film || !player.busy;
  $("live").setAttribute("aria-pressed", String(mode === "live"));
  $("live-text").textContent = { live: "Live", held: "Held: go on live" }[mode] ?? "Go live";
  const shot = at && film?.shots[at.shot];
  const take = shot?.takes.find((one) => one.id === at.take);
  $("subtitle").hidden = !shot;
  $("subtitle").textContent = shot ? plain(take?.changes.at(-1) ?? take?.caption ?? shot.caption) : "";
  showMarks(player, at?.shot);
}

/** Shots as stretches above the scrubber; one alone is no other than the scrubber. */
function showMarks(player, current) {
  const key = JSON.stringify([player.segments, current]);
  if ($("marks").dataset.key === key) return;
  $("marks").dataset.key = key;
  $("marks").replaceChildren(...player.segments.filter((_, __, all) => all.length > 1).map((segment) => {
    const mark = node("span", { className: segment.shot === current ? "now" : "" });
    mark.style.flexGrow = segment.frames;
    return mark;
  }));
}

/** What is taken in and acts when the block under work is made. */
function showComing({ coming }) {
  const taken = new Set(coming.filter((one) => one.accepted).map(({ type }) => (type === "resume" ? "stop" : type)));
  for (const id of ["cut", "extend", "stop", "change"]) $(id).setAttribute("aria-busy", taken.has(id));
}

function showDirecting(film) {
  const running = film !== null && film.running !== null;
  for (const id of ["cut", "extend"]) $(id).disabled = !running;
  $("stop").disabled = !running && !film?.queue.length;
  $("stop").firstChild.textContent = film?.paused ? "Resume " : "Stop ";
  $("stop").title = film?.paused ? "Make what waits in the queue" : "End the running shot and make nothing more for now";
}
