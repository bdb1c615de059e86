// The story: who and where, said once, before the first shot.

import { $, button } from "./dom.js";
import { call } from "./wire.js";
import { watchWords } from "./words.js";

export function showStory(studio) {
  const look = watchWords($("caption"), $("caption-mirror"), $("caption-words"), null, (text) => studio.check(text, null));
  const leave = () => { studio.leave(); $("caption").focus(); };

  studio.on("opened", (film) => {
    $("story-form").hidden = Boolean(film);
    $("story-told").hidden = !film;
    $("story-text").textContent = film?.global_caption ?? "";
    $("story-seed").textContent = Number.isSafeInteger(film?.seed) ? film.seed : "beyond what a browser can count";
    document.body.classList.toggle("has-film", Boolean(film));
    history.replaceState(null, "", film ? `#${film.id}` : location.pathname);
  });
  $("new-film").addEventListener("click", leave);
  $("again").addEventListener("click", leave);
  showExamples(look);
}

async function showExamples(look) {
  const examples = await call("examples.json").catch(() => []);
  $("examples").replaceChildren(...examples.map((one) => button(one.name, () => {
    $("caption").value = one.caption;
    $("prompt").value = one.shot;
    $("prompt").dispatchEvent(new Event("input"));
    look();
    $("prompt").focus();
  })));
}

/** Begin the film the story panel describes; resolves to whether it is there. */
export async function beginFilm(studio) {
  const caption = $("caption").value.trim();
  if (!caption) {
    $("caption").focus();
    studio.say("First say who is in the film, where, and how it looks.");
    return false;
  }
  try {
    await studio.begin(caption, Number($("seed").value || 0));
    return true;
  } catch (fault) {
    studio.say(fault.message);
    return false;
  }
}
