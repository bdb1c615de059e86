// A contact sheet of a film: four frames of every shot in it above its caption, to look at and to print.

import { $, chosenOf, lasts, many, node, plain, seconds } from "./dom.js";
import { Frames } from "./frames.js";
import { call } from "./wire.js";

const PICTURES = 4;
const frames = new Frames();

/** Four moments of a take, from its first frame in the film to its last. */
const moments = (take) => Array.from({ length: PICTURES }, (_, number) => take.start + Math.round((number * (lasts(take) - 1)) / (PICTURES - 1)));

async function row(film, shot, index, start) {
  const take = chosenOf(shot);
  const blobs = await Promise.all(moments(take).map((frame) => frames.get(take.id, frame)));
  const pictures = blobs.filter(Boolean).map((blob, number) => node("img", { src: URL.createObjectURL(blob), alt: `Shot ${index + 1}, picture ${number + 1} of ${PICTURES}` }));
  const number = shot.takes.filter((one) => one.frames > 0).indexOf(take) + 1;
  const facts = [`from ${seconds(start / film.fps)}`, `${seconds(lasts(take) / film.fps)} long`, `take ${number}`, ...(shot.stale ? ["outdated"] : []), ...(shot.locked ? ["locked"] : [])];
  return node("li", {}, node("div", { className: "pictures" }, ...pictures),
    node("h2", {}, `${index + 1}. ${plain([shot.caption, ...take.changes].join(" → "))}`), node("p", {}, facts.join(" · ")));
}

async function show(id) {
  const film = await call(`api/films/${id}`);
  const made = film.shots.map((shot, index) => [shot, index]).filter(([shot]) => shot.chosen !== null);
  frames.open(film.id);
  document.title = $("title").textContent = plain(film.global_caption);
  document.documentElement.style.setProperty("--ratio", film.width / film.height);
  let start = 0;
  for (const [shot, index] of made) {
    $("shots").append(await row(film, shot, index, start));
    start += lasts(chosenOf(shot));
  }
  $("about").textContent = `${many(made.length, "shot")}, ${seconds(start / film.fps)} · branch “${plain(film.branch)}” · made by a generative model`;
  await Promise.all([...document.images].map((image) => image.decode().catch(() => {})));
  $("said").textContent = "";
  $("print").disabled = false;
}

$("print").addEventListener("click", () => print());
show(location.hash.slice(1)).catch((fault) => { $("said").textContent = fault.message; });
