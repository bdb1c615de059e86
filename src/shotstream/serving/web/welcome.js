// What stands on the screen while there is no picture: a greeting with examples, or what is being waited for.

import { $, button } from "./dom.js";
import { write } from "./text.js";
import { call } from "./wire.js";

const SAID = {
  begin: ["Direct a film while it plays.", "Say who it is about and what happens first, or begin with one of these."],
  opening: ["Opening your film…", ""],
  waiting: ["Your shot waits for the model.", "It is made as soon as the model is loaded; go on writing meanwhile."],
  empty: ["Direct a film while it plays.", "Write what happens first, and shoot."],
};

export function showWelcome(studio, composer) {
  const say = (which) => {
    [$("empty-title").textContent, $("empty-text").textContent] = SAID[which];
    $("examples").hidden = which !== "begin";
  };
  studio.on("opened", (film) => say(film ? "empty" : "begin"));
  studio.on("opening", () => say("opening"));
  studio.on("waiting", (waits) => say(waits ? "waiting" : "begin"));
  showExamples(composer);
}

async function showExamples(composer) {
  const examples = await call("examples.json").catch(() => []);
  $("examples").replaceChildren(...examples.map((one) => button(one.name, () => {
    write($("caption"), one.caption);
    write($("prompt"), one.shot);
    composer.shoot();
  })));
}
