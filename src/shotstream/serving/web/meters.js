// Speeds: what the studio measures, and what only the page can see; and what helps a machine that is too slow.

import { $, node } from "./dom.js";

const SLOW = 0.9; // of the film's own rate
const FEWEST = 2; // steps that are offered in the picture

const time = (value) => (value === null ? "–" : value < 1 ? `${Math.round(value * 1000)} ms` : `${value.toFixed(1)} s`);
const rate = (value) => (value === null ? "–" : `${value.toFixed(1)} frames/s`);

/** As many steps as a machine that makes `fps` of `wanted` frames a second has the time for; null: it has tried those. */
function fewer({ steps }, fps, wanted) {
  if (!steps || steps <= FEWEST) return null;
  return Math.max(FEWEST, Math.min(steps - 1, Math.floor((steps * fps) / wanted)));
}

/** A machine that is too slow is told so in the picture, with what would help. */
function showSlowness(film, fps, model) {
  const slow = Boolean(film && film.running !== null && fps !== null && fps < SLOW * film.fps);
  $("slow").hidden = !slow;
  if (!slow) return;
  const steps = fewer(model, fps, film.fps);
  $("slow-text").textContent = `Making ${Math.floor(fps)} of ${film.fps} frames/s`;
  $("fewer-steps").hidden = steps === null;
  if (steps === null) return;
  $("fewer-steps").textContent = `Use ${steps} steps of ${model.steps}: faster, rougher`;
  $("fewer-steps").dataset.steps = steps;
}

function showSteps(studio) {
  const use = (steps) => studio.command("steps", { steps }, `Blocks are made in ${steps} steps now.`);
  $("fewer-steps").addEventListener("click", () => { $("slow").hidden = true; use(Number($("fewer-steps").dataset.steps)); });
  $("steps").addEventListener("change", () => use(Number($("steps").value)));
  studio.on("model", (model) => {
    const most = model.most_steps ?? 0;
    $("steps-row").hidden = most < 2;
    if (model.state === "away" || most < 2) return;
    $("steps").replaceChildren(...Array.from({ length: most }, (_, index) => node("option", { value: String(index + 1) }, index + 1 === most ? `${most}, as it was made for` : `${index + 1}`)));
    $("steps").value = String(model.steps);
  });
}

export function showMeters(studio, player) {
  let seen = false;
  showSteps(studio);
  studio.on("meters", (meters) => {
    $("meter-fps").textContent = rate(meters.fps);
    $("meter-dropped").textContent = meters.dropped;
    $("meter-time").textContent = meters.due ? `${meters.due - meters.underruns} of ${meters.due}` : "–";
    $("meter-time").title = meters.underruns ? `The picture stood still ${meters.stood_seconds.toFixed(1)} s in all` : "";
    showSlowness(studio.film, meters.fps, studio.model);
    if (!seen) $("meter-first").textContent = time(meters.first_frame_seconds);
  });
  studio.on("film", (film) => { if (!film || film.running === null) $("slow").hidden = true; });
  player.addEventListener("shown", () => {
    if (!player.askedAt || !player.following) return;
    seen = true;
    const waited = performance.now() - player.askedAt;
    player.askedAt = null;
    document.documentElement.dataset.firstFrame = Math.round(waited);
    $("meter-first").textContent = time(waited / 1000);
  });
  setInterval(() => { $("meter-shown").textContent = rate(player.rate()); }, 1000);
}
