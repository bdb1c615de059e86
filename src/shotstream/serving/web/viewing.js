// How the film is watched: frame by frame, a shot in a loop, at half speed, in theatre or full screen; a click pauses.

import { $ } from "./dom.js";

export function showViewing(player) {
  const still = () => player.dispatchEvent(new Event("taken"));
  const step = (by) => { player.nudge(by); still(); };
  const loop = () => press("loop", (player.loop = !player.loop));
  const half = () => { player.pace(player.speed === 1 ? 0.5 : 1); press("half", player.speed < 1); };
  const theatre = () => {
    localStorage.theatre = document.body.classList.toggle("theatre") ? "on" : "off";
    press("theatre", document.body.classList.contains("theatre"));
  };
  const full = () => (document.fullscreenElement ? document.exitFullscreen() : $("stage").requestFullscreen().catch(() => {}));

  if (localStorage.theatre === "on") theatre();
  $("step-back").addEventListener("click", () => step(-1));
  $("step-on").addEventListener("click", () => step(1));
  $("loop").addEventListener("click", loop);
  $("half").addEventListener("click", half);
  $("theatre").addEventListener("click", theatre);
  $("full").addEventListener("click", full);
  $("full").hidden = !document.fullscreenEnabled;
  document.addEventListener("fullscreenchange", () => press("full", document.fullscreenElement !== null));
  $("screen").addEventListener("click", (event) => event.target.closest("button") || !player.length || player.toggle());
  $("screen").addEventListener("dblclick", (event) => event.target.closest("button") || $("full").hidden || full());
  return { step, loop, half, theatre, full };
}

function press(id, on) {
  $(id).setAttribute("aria-pressed", String(on));
}
