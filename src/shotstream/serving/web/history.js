// Undo and redo, with the name of what they would act on.

import { $ } from "./dom.js";

const NAMES = {
  insert: "new shot", delete: "deletion", move: "move", plan: "new take", revise: "change of a waiting shot", retell: "change of the story", context_policy: "choice of condition frames", place: "footage of your own", pin: "reference image", lora: "choice of LoRA adapters", unpin: "unpinned image", choose: "choice of take", remove: "removal from the queue",
  lock: "lock", trim: "trim", mark: "marker", branch: "new branch", switch: "change of branch", drop: "dropped branch", extend: "extension", change: "change of caption",
};
const name = (kind) => NAMES[kind] ?? kind;

export function showHistory(studio) {
  const act = (which, word) => {
    const kind = studio.film?.[which];
    if (kind) studio.command(which, {}, `${word}: ${name(kind)}.`);
  };
  studio.on("film", (film) => {
    for (const [which, word] of [["undo", "Undo"], ["redo", "Redo"]]) {
      const kind = film?.[which] ?? null;
      $(which).disabled = kind === null;
      $(which).title = kind === null ? `Nothing to ${which}` : `${word}: ${name(kind)}`;
      $(which).setAttribute("aria-label", $(which).title);
    }
  });
  const [undo, redo] = [() => act("undo", "Undone"), () => act("redo", "Done again")];
  $("undo").addEventListener("click", undo);
  $("redo").addEventListener("click", redo);
  return { undo, redo };
}
