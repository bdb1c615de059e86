// A pasted script becomes shots: its captions as paragraphs, with their lengths, and its story where none is written yet.

import { $, many } from "./dom.js";
import { paragraphs, write } from "./text.js";

/** Watch what is pasted into the prompt; `lengths` gets the seconds of captions that have theirs from a script. */
export function watchScripts(studio, lengths) {
  const field = $("prompt");
  field.addEventListener("paste", (event) => {
    const text = event.clipboardData?.getData("text") ?? "";
    if (!text.includes("\n") && !/^\s*[[{]|\[shot cut\]|\|/i.test(text)) return;
    setTimeout(() => take(text)); // once it is in the box: undo leads back to it
  });

  async function take(text) {
    const script = await studio.script(text);
    const at = field.value.indexOf(text.replaceAll("\r\n", "\n"));
    if (!script || at < 0) return told(paragraphs(field.value).length);
    putScript(studio, lengths, script, at, at + text.replaceAll("\r\n", "\n").length);
    told(script.shots.length, script.told);
  }

  const told = (count, more = []) => count > 1 && studio.tell([`A script of ${many(count, "shot")}: Shoot queues them all.`, ...more].join(" "), "note");
}

/** Put the shots of `script` in the place of characters `from` to `to` of the prompt, and its story where none is. */
export function putScript(studio, lengths, script, from, to) {
  for (const shot of script.shots) if (shot.seconds !== null) lengths.set(shot.caption, shot.seconds);
  const shots = script.shots.map((shot) => shot.caption.replace(/\n\s*\n/g, "\n")).join("\n\n");
  write($("prompt"), $("prompt").value.slice(0, from).trim() && from === to ? `\n\n${shots}` : shots, from, to);
  if (!studio.film && !$("caption").value.trim()) write($("caption"), script.global_caption);
}
