// The story: who and where, said once, before the first shot.

import { $, plain } from "./dom.js";
import { draw } from "./edit.js";
import { watchWords } from "./words.js";

const AGAIN = 400; // milliseconds until a studio that is not ready is asked again

export function showStory(studio, editor) {
  watchWords($("caption"), $("caption-mirror"), $("caption-words"), null, (text) => studio.check(text, null));
  const leave = () => { studio.leave(); $("caption").focus(); };

  studio.on("opened", (film) => {
    $("story-form").hidden = Boolean(film);
    $("story-told").hidden = !film;
    document.body.classList.toggle("has-film", Boolean(film));
  });
  studio.on("film", (film) => {
    $("story-text").textContent = plain(film?.global_caption ?? "");
    $("story-seed").textContent = film?.seed ?? "";
  });
  $("new-film").addEventListener("click", leave);
  $("seed-die").addEventListener("click", () => { $("seed").value = draw(); });
  $("story-edit").addEventListener("click", () => editor.openStory());
}

/** Begin the film the story panel describes, once the model is ready; resolves to whether it is there. */
export async function beginFilm(studio) {
  const [caption, seed] = [$("caption").value.trim(), Number($("seed").value || 0)];
  studio.say("");
  for (;;) {
    try {
      await studio.begin(caption, seed);
      return true;
    } catch (fault) {
      studio.emit("waiting", fault.code === "not_ready");
      if (fault.code !== "not_ready") {
        studio.say(fault.message);
        return false;
      }
    }
    await new Promise((resolve) => setTimeout(resolve, AGAIN));
  }
}
