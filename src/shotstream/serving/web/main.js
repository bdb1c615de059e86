// The page is put together here: what a person presses becomes a command; what the studio says becomes a picture.

import { chooseNext, shotActions } from "./actions.js";
import { showBranches } from "./branches.js";
import { Compare } from "./compare.js";
import { Composer } from "./composer.js";
import { $ } from "./dom.js";
import { Editor } from "./edit.js";
import { showExports } from "./exports.js";
import { Frames } from "./frames.js";
import { showHeader } from "./header.js";
import { showHistory } from "./history.js";
import { offerWriter } from "./idea.js";
import { listenToKeys } from "./keys.js";
import { showLibrary } from "./library.js";
import { showLora } from "./lora.js";
import { showMemory } from "./memory.js";
import { showMeters } from "./meters.js";
import { showOwn } from "./own.js";
import { readPalette, showPalette } from "./palette.js";
import { Player } from "./player.js";
import { keepPosition } from "./position.js";
import { showQueue } from "./queue.js";
import { Reel, showPictures } from "./reel.js";
import { Selection } from "./selection.js";
import { showShotbar } from "./shotbar.js";
import { showStage } from "./stage.js";
import { showStory } from "./story.js";
import { Studio } from "./studio.js";
import { showSuggestions } from "./suggest.js";
import { Timeline } from "./timeline.js";
import { showTitle } from "./title.js";
import { showMarkers, trimActions } from "./trim.js";
import { showViewing } from "./viewing.js";
import { showWelcome } from "./welcome.js";
import { call } from "./wire.js";

const studio = new Studio();
const frames = new Frames();
const reel = new Reel($("video"));
const player = new Player($("canvas"), frames, reel);

studio.on("opened", (film) => frames.open(film?.id ?? null));
studio.on("picture", (picture) => picture.blob && frames.put(picture));
showPictures(studio, reel);
showHeader(studio);
showStage(studio, player); // first: the others look at the player, which has the film by then
const viewing = showViewing(player);
const selection = new Selection(studio, player);
const composer = new Composer(studio, player);
showPalette(studio);
offerWriter(studio, composer);
studio.on("ready", async () => studio.emit("palette", await readPalette()));
const suggest = showSuggestions(studio, composer);
const compare = new Compare(studio, frames);
const editor = new Editor(studio, player);
const actions = shotActions(studio, { composer, compare, editor, player, trim: trimActions(studio, player, selection) });
const bar = showShotbar(studio, selection, actions);
const timeline = new Timeline(studio, player, selection, { ...actions, edit: () => bar.press("edit") });
const queue = showQueue(studio);
const { undo, redo } = showHistory(studio);
showStory(studio, editor);
showWelcome(studio, composer);
showBranches(studio);
showMemory(studio, selection);
showMarkers(studio, player, selection);
showOwn(studio);
showLora(studio);
showMeters(studio, player);
keepPosition(studio, player);
showExports(studio);
showLibrary(studio);
showTitle(studio);

const press = (id) => () => $(id).click();
const take = (step) => () => selection.index !== null && chooseNext(studio, actions, selection.index, step);
listenToKeys([
  ["Watch", [
    [[" "], "play, pause; hold the live picture", () => player.toggle()],
    [["ArrowLeft"], "the shot before", () => timeline.step(-1)],
    [["ArrowRight"], "the next shot", () => timeline.step(1)],
    [["Home"], "the first shot", () => timeline.pick(0)],
    [["End"], "the last shot", () => timeline.step(Infinity)],
    [["l"], "live: what is being made", press("live")],
    [[","], "one frame back", () => viewing.step(-1)],
    [["."], "one frame on", () => viewing.step(1)],
    [["o"], "loop the shot", viewing.loop],
    [["h"], "half speed", viewing.half],
    [["t"], "theatre", viewing.theatre],
    [["f"], "full screen", viewing.full],
  ]],
  ["Direct", [
    [["n"], "write the next shot", () => $("prompt").focus()],
    [["g"], "write a suggestion", suggest],
    [["Ctrl+Enter"], "shoot", () => composer.shoot()],
    [["c"], "cut: end the running shot", press("cut")],
    [["e"], "extend the running shot", press("extend")],
    [["s"], "stop; resume", press("stop")],
    [["p"], "pause the queue; resume", () => queue.toggle()],
  ]],
  ["The selected shot", [
    [["r"], "retake", () => bar.press("retake")],
    [["w"], "change its words, length or seed", () => bar.press("edit")],
    [["["], "the take before", take(-1)],
    [["]"], "the next take", take(1)],
    [["v"], "compare takes", () => bar.press("compare")],
    [["a"], "begin it at this picture", () => bar.press("begin")],
    [["z"], "end it with this picture", () => bar.press("end")],
    [["q"], "mark this picture", () => bar.press("mark")],
    [["Alt+ArrowLeft"], "move it earlier", () => bar.press("left")],
    [["Alt+ArrowRight"], "move it later", () => bar.press("right")],
    [["i"], "insert a shot before it", () => bar.press("insert")],
    [["d"], "duplicate it", () => bar.press("duplicate")],
    [["k"], "lock it; unlock", () => bar.press("lock")],
    [["b"], "branch after it", () => bar.press("branch")],
    [["Delete", "Backspace"], "delete it", () => bar.press("delete")],
  ]],
  ["The film", [
    [["Ctrl+z"], "undo", undo],
    [["Ctrl+Shift+z", "Ctrl+y"], "redo", redo],
    [["m"], "remake outdated shots", press("remake-stale")],
    [["x"], "export", press("export-open")],
    [["?"], "these keys", press("keys-open")],
  ]],
]);

async function start() {
  const known = /^#([0-9a-f]{12})$/.exec(location.hash);
  if (known) {
    studio.emit("opening");
    studio.attach(known[1]); // it is shown when it is there
  }
  else for (const news of ["opened", "film"]) studio.emit(news, null);
  while (!studio.film && studio.model.state !== "ready") {
    await call("api/model").then((model) => studio.learn(model), () => studio.learn({ state: "away" }));
    await new Promise((resolve) => setTimeout(resolve, 500));
  }
}

start();
