// The page: what a person presses becomes a command; what the studio says becomes a picture.

import { call, Wire } from "./wire.js";
import { Player } from "./player.js";
import { node, showMemory, showQueue, showStrip } from "./strip.js";
import { watchWords } from "./words.js";

const $ = (id) => document.getElementById(id);
const state = { film: null, model: { state: "loading" }, shotAt: null, noted: "" };

const player = new Player($("canvas"), { moved: showPlace });
const wire = new Wire({ hear, see: (picture) => player.see(picture), lost: () => showModel({ state: "away" }) });

// What the studio says

function hear(message) {
  if (message.type === "welcome") {
    showModel(message.model);
    showLengths(message.lengths, message.usual_length);
    showFilm(message.film);
  } else if (message.type === "film") showFilm(message);
  else if (message.type === "model") showModel(message.model);
  else if (message.type === "meters") showMeters(message);
  else if (message.type === "notice") say(message.text);
}

function say(text) {
  $("said").textContent = text ?? "";
}

function showModel(model) {
  state.model = model;
  const words = {
    loading: "loading the model…",
    warming: "warming up: the first seconds are slower…",
    ready: `${model.name} ${model.version}`,
    stopped: model.fault || "the studio has stopped",
    away: "the studio is not there; trying again…",
  };
  $("model").textContent = words[model.state];
  showButtons();
}

function showFilm(film) {
  const first = film.id !== state.film?.id;
  state.film = film;
  player.load(film);
  if (first) {
    $("screen").style.setProperty("--ratio", film.width / film.height);
    history.replaceState(null, "", `#${film.id}`);
    $("caption").value = film.global_caption;
    $("seed").value = film.seed;
    lookCaption();
    const stood = film.position && player.placeOf(film.position.take, film.position.frame);
    if (film.running === null && player.length) player.seek(stood ?? player.length - 1);
  }
  $("empty").hidden = film.shots.length > 0;
  $("caption").readOnly = $("seed").readOnly = true;
  $("story-note").hidden = false;
  const made = film.shots.some((shot) => shot.chosen !== null);
  for (const [id, name] of [["download-mp4", "film.mp4"], ["download-film", "film.film"]]) {
    $(id).hidden = !made;
    $(id).href = `/api/films/${film.id}/${name}`;
  }
  showQueue($("queue"), $("queue-empty"), film, { remove: (take) => command("remove", { take }) });
  showPlace();
  showButtons();
}

function showPlace() {
  const film = state.film;
  const at = player.here();
  const empty = !film || !player.length;
  $("scrub").disabled = $("play").disabled = empty;
  $("scrub").max = Math.max(0, (player.length ?? 1) - 1);
  $("scrub").value = player.place;
  const [now, all] = [player.place / (player.fps ?? 16), (player.length ?? 0) / (player.fps ?? 16)];
  $("time").textContent = empty ? "0.0 s" : `${now.toFixed(1)} / ${all.toFixed(1)} s`;
  $("scrub").setAttribute("aria-valuetext", at ? `shot ${at.shot + 1}, ${now.toFixed(1)} seconds` : "nothing yet");
  $("play").firstElementChild.textContent = player.playing ? "❚❚" : "▶";
  $("play").setAttribute("aria-label", player.playing ? "Pause" : "Play");
  $("live").hidden = !film || (film.running === null && !film.queue.length);
  $("live").setAttribute("aria-pressed", String(player.following));
  if (!film) return;
  const shot = at && film.shots[at.shot];
  const take = shot?.takes.find((one) => one.id === at.take);
  $("subtitle").hidden = !shot;
  $("subtitle").textContent = shot ? (take?.changes.at(-1) ?? shot.caption) : "";
  const key = JSON.stringify([film, at?.shot]);
  if (state.drawn !== key) {
    state.drawn = key;
    showMarks(at?.shot);
    showStrip($("strip"), film, at?.shot, { see: seeTake, choose: (index, id) => command("choose", { shot: index, take: id }), remake: (index) => command("remake", { shot: index }), remove: (id) => command("remove", { take: id }) });
    const running = film.shots.flatMap((one) => one.takes).find((one) => one.id === film.running);
    showMemory($("memory"), $("memory-empty"), film, running ?? take);
    $("retake").disabled = !canRetake();
  }
}

function showMarks(current) {
  $("marks").replaceChildren(...player.segments.map((segment) => {
    const mark = node("span", { className: segment.shot === current ? "now" : "" });
    mark.style.flexGrow = segment.frames;
    return mark;
  }));
}

function showButtons() {
  const running = state.film !== null && state.film.running !== null;
  const waiting = (state.film?.queue.length ?? 0) > 0;
  const paused = Boolean(state.film?.paused);
  for (const id of ["cut", "extend", "change"]) $(id).disabled = !running;
  $("stop").disabled = !running && !waiting;
  $("stop").firstChild.textContent = paused ? "Go on " : "Stop ";
  $("stop").title = paused ? "Make what waits in the queue" : "Make nothing more for now";
  $("retake").disabled = !canRetake();
}

function canRetake() {
  const at = player.here();
  return Boolean(at && state.film?.shots[at.shot].chosen !== null);
}

function showMeters(meters) {
  const seconds = (value) => (value === null ? "–" : value < 1 ? `${Math.round(value * 1000)} ms` : `${value.toFixed(1)} s`);
  $("meter-fps").textContent = meters.fps === null ? "–" : `${meters.fps.toFixed(1)} frames/s`;
  $("meter-dropped").textContent = meters.dropped;
  if (state.seen === undefined) $("meter-first").textContent = seconds(meters.first_frame_seconds);
}

function showLengths(lengths, usual) {
  const select = $("seconds");
  const chosen = select.value;
  select.replaceChildren(node("option", { value: "" }, `usual (${usual.toFixed(1)} s)`), ...lengths.map((one) => node("option", { value: String(one) }, `${one.toFixed(1)} s`)));
  select.value = chosen;
}

// What a person does

async function command(type, fields) {
  say("");
  const answer = await wire.ask(type, fields);
  if (answer.type === "refused") say(answer.text);
  return answer.type === "accepted";
}

async function shoot() {
  const caption = $("prompt").value.trim();
  if (!caption) return say("Write what happens next.");
  const began = performance.now();
  if (!state.film && !(await begin())) return;
  const seconds = $("seconds").value === "" ? null : Number($("seconds").value);
  player.follow();
  if (state.film.running === null && !state.film.queue.length) state.shotAt = began;
  if (await command("shoot", { caption, seconds })) {
    $("prompt").value = "";
    $("prompt").dispatchEvent(new Event("input"));
  }
}

async function begin() {
  const caption = $("caption").value.trim();
  if (!caption) {
    $("caption").focus();
    say("Say in the Story panel who is in the film, where, and how it looks.");
    return false;
  }
  try {
    const film = await call("/api/films", { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify({ global_caption: caption, seed: Number($("seed").value || 0) }) });
    await attach(film.id);
    return true;
  } catch (fault) {
    say(fault.message);
    return false;
  }
}

async function attach(id) {
  state.film = null;
  state.drawn = "";
  await wire.attach(id);
}

function newFilm() {
  wire.close();
  player.clear();
  history.replaceState(null, "", location.pathname);
  state.film = null;
  for (const id of ["subtitle", "live", "story-note", "download-mp4", "download-film"]) $(id).hidden = true;
  for (const id of ["strip", "queue", "memory", "marks"]) $(id).replaceChildren();
  for (const id of ["empty", "queue-empty", "memory-empty"]) $(id).hidden = false;
  $("caption").readOnly = $("seed").readOnly = false;
  $("memory").dataset.key = state.drawn = "";
  say("");
  showPlace();
  showButtons();
  $("caption").focus();
}

function seeTake(take) {
  const place = player.placeOf(take, 0);
  if (place === undefined) return;
  player.seek(place).then(() => player.play());
}

function toggle() {
  if (player.playing) player.pause();
  else player.play();
}

async function retake() {
  const at = player.here();
  if (!at) return;
  if (await command("retake", { shot: at.shot })) player.follow();
}

function stopOrGoOn() {
  command(state.film?.paused ? "resume" : "stop");
}

const check = (text, previous) => call("/api/check", { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify({ text, previous }) }).catch(() => ({}));
const lookCaption = watchWords($("caption"), $("caption-mirror"), $("caption-words"), null, (text) => check(text, null));
const lookPrompt = watchWords($("prompt"), $("prompt-mirror"), $("prompt-words"), $("prompt-hint"), (text) => check(text, state.film?.shots.at(-1)?.caption ?? null));

$("composer").addEventListener("submit", (event) => { event.preventDefault(); shoot(); });
$("play").addEventListener("click", toggle);
$("scrub").addEventListener("input", () => { player.playing = false; player.seek(Number($("scrub").value)); });
$("live").addEventListener("click", () => player.follow());
$("cut").addEventListener("click", () => command("cut"));
$("extend").addEventListener("click", () => command("extend", { blocks: 1 }));
$("retake").addEventListener("click", retake);
$("stop").addEventListener("click", stopOrGoOn);
$("change").addEventListener("click", async () => {
  const caption = $("prompt").value.trim();
  if (!caption) return say("Write what the shot should become, then press Change now.");
  if (await command("change", { caption })) {
    $("prompt").value = "";
    $("prompt").dispatchEvent(new Event("input"));
  }
});
$("new-film").addEventListener("click", newFilm);
$("again").addEventListener("click", newFilm);
$("theme").addEventListener("click", () => {
  const dark = document.documentElement.dataset.theme ? document.documentElement.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  localStorage.theme = document.documentElement.dataset.theme = dark ? "light" : "dark";
});

const keys = { c: () => $("cut").click(), e: () => $("extend").click(), r: () => $("retake").click(), s: () => $("stop").click(), n: () => $("prompt").focus(), l: () => player.follow(), " ": toggle };
document.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
    event.preventDefault();
    return shoot();
  }
  if (event.ctrlKey || event.metaKey || event.altKey || $("open-dialog").open) return;
  if (event.key === "Escape") return event.target.blur?.();
  if (event.target.closest("textarea, input, select")) return;
  if (event.key === " " && event.target.closest("button, a")) return;
  const act = keys[event.key.toLowerCase()];
  if (!act) return;
  event.preventDefault();
  act();
});

// Films kept here, and files from elsewhere

$("open-film").addEventListener("click", async () => {
  $("open-said").textContent = "";
  $("open-dialog").showModal();
  const films = await call("/api/films").catch(() => []);
  $("library").replaceChildren(...films.map((film) => node("li", {}, node("button", { type: "button", onclick: () => { $("open-dialog").close(); attach(film.id); } },
    node("span", {}, film.global_caption.slice(0, 70)), node("small", {}, `${film.shots} shot${film.shots === 1 ? "" : "s"}`)))));
});
$("close-dialog").addEventListener("click", () => $("open-dialog").close());
$("file").addEventListener("change", async () => {
  const [file] = $("file").files;
  if (!file) return;
  try {
    const film = await call("/api/open", { method: "POST", headers: { "content-type": "application/octet-stream" }, body: file });
    $("open-dialog").close();
    await attach(film.id);
  } catch (fault) {
    $("open-said").textContent = fault.message;
  }
  $("file").value = "";
});

// Meters that only the page can read, and where the viewer stands

$("canvas").addEventListener("shown", () => {
  if (state.shotAt !== null && player.following) {
    state.seen = performance.now() - state.shotAt;
    state.shotAt = null;
    document.documentElement.dataset.firstFrame = Math.round(state.seen);
    $("meter-first").textContent = `${Math.round(state.seen)} ms`;
  }
});
setInterval(() => {
  const rate = player.rate();
  $("meter-shown").textContent = rate === null ? "–" : `${rate.toFixed(1)} frames/s`;
  const at = player.here();
  const key = at && `${state.film?.id}/${at.take}/${at.frame}`;
  if (!at || !state.film || key === state.noted || player.playing || state.film.running === at.take) return;
  state.noted = key;
  wire.ask("position", { take: at.take, frame: at.frame });
}, 1000);

async function start() {
  if (localStorage.theme) document.documentElement.dataset.theme = localStorage.theme;
  const examples = await call("examples.json").catch(() => []);
  $("examples").replaceChildren(...examples.map((one) => node("button", { type: "button", onclick: () => {
    $("caption").value = one.caption;
    $("prompt").value = one.shot;
    lookCaption();
    lookPrompt();
    $("prompt").focus();
  } }, one.name)));
  const known = /^#([0-9a-f]{12})$/.exec(location.hash);
  if (known) await attach(known[1]);
  while (!state.film && state.model.state !== "ready") {
    await call("/api/model").then(showModel, () => showModel({ state: "away" }));
    await new Promise((resolve) => setTimeout(resolve, 500));
  }
}

showPlace();
showButtons();
start();
