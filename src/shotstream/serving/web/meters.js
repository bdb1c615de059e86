// Speeds: what the studio measures, and what only the page can see.

import { $ } from "./dom.js";

const time = (value) => (value === null ? "–" : value < 1 ? `${Math.round(value * 1000)} ms` : `${value.toFixed(1)} s`);
const rate = (value) => (value === null ? "–" : `${value.toFixed(1)} frames/s`);

export function showMeters(studio, player) {
  let seen = false;
  studio.on("meters", (meters) => {
    $("meter-fps").textContent = rate(meters.fps);
    $("meter-dropped").textContent = meters.dropped;
    if (!seen) $("meter-first").textContent = time(meters.first_frame_seconds);
  });
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
