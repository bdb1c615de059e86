// Unknown words are underlined as they are typed, with what the model does know instead.

import { node, plain } from "./dom.js";
import { write } from "./text.js";

/** Watch `field`; `check(text)` resolves to {unknown: [{start, stop, instead}], lost: [words], hint}. */
export function watchWords(field, mirror, list, hint, check) {
  let timer = 0;
  let asked = 0;

  function show(text, answer) {
    const pieces = [];
    let at = 0;
    for (const word of answer.unknown) {
      pieces.push(text.slice(at, word.start), node("mark", {}, text.slice(word.start, word.stop)));
      at = word.stop;
    }
    mirror.replaceChildren(...pieces, text.slice(at) + "\n");
    mirror.scrollTop = field.scrollTop;
    const said = answer.unknown.slice(0, 3).flatMap((word) => {
      const unknown = text.slice(word.start, word.stop);
      const offers = word.instead.map((other) => node("button", { type: "button", ariaLabel: `Write ${other} instead of ${unknown}`, onclick: () => replace(word, other) }, other));
      return [node("b", {}, unknown), " is not a word the model knows", ...(offers.length ? ["; try ", ...offers] : [""]), ". "];
    });
    const known = pieces.filter((piece) => typeof piece === "string").join("") + text.slice(at);
    const lost = text.trim() !== "" && answer.unknown.length > 0 && !/[\p{L}\p{N}]/u.test(known);
    const long = answer.lost?.length ? [node("b", {}, "Too long for the model."), ` It does not read: ${plain(answer.lost.slice(0, 6).join(" "))}${answer.lost.length > 6 ? "…" : ""}. `] : [];
    list.replaceChildren(...long, ...(lost ? [node("b", {}, "The model knows none of these words."), " The picture would follow the story alone. "] : []), ...said);
    if (hint) hint.textContent = answer.hint ?? "";
  }

  function replace(word, other) {
    field.focus();
    write(field, other, word.start, word.stop);
    look();
  }

  async function look() {
    const text = field.value;
    const mine = ++asked;
    const answer = text.trim() ? await check(text) : { unknown: [], hint: "" };
    if (mine === asked && text === field.value && answer.unknown) show(text, answer);
  }

  field.addEventListener("input", () => {
    mirror.textContent = "";
    clearTimeout(timer);
    timer = setTimeout(look, 160);
  });
  field.addEventListener("scroll", () => { mirror.scrollTop = field.scrollTop; });
  return look;
}
