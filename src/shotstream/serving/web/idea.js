// A chat model writes shots from an idea, where the studio was given one: into the prompt, to be changed and then shot.

import { $, many } from "./dom.js";
import { putScript } from "./script.js";
import { call, send } from "./wire.js";

export function offerWriter(studio, composer) {
  let asked = 0; // an answer to what was cancelled is let go

  const busy = (writes) => {
    $("idea-do").disabled = writes;
    $("idea-do").textContent = writes ? "Writing…" : "Write";
  };
  studio.on("ready", async () => {
    const { name } = await call("api/writer").catch(() => ({ name: "" }));
    $("idea-open").hidden = !name;
    $("idea-note").textContent = `Your idea is sent to the chat model ${name}. What it writes comes into the prompt: change it there, then shoot.`;
  });
  $("idea-open").addEventListener("click", () => {
    $("idea-said").textContent = "";
    $("idea-dialog").showModal();
    $("idea-text").focus();
  });
  $("idea-cancel").addEventListener("click", () => $("idea-dialog").close());
  $("idea-dialog").addEventListener("close", () => { asked += 1; busy(false); });
  $("idea-form").addEventListener("submit", async (event) => {
    event.preventDefault();
    const idea = $("idea-text").value.trim();
    if (!idea) return;
    const mine = (asked += 1);
    busy(true);
    $("idea-said").textContent = "";
    try {
      const story = studio.film?.global_caption ?? $("caption").value;
      const script = await send("POST", "api/write", { idea, shots: Number($("idea-shots").value) || 6, story });
      if (mine !== asked) return;
      $("idea-dialog").close();
      putScript(studio, composer.lengths, script, $("prompt").value.length, $("prompt").value.length);
      $("prompt").focus();
      studio.tell([`${many(script.shots.length, "shot")} are written: change what you like, then Shoot queues them all.`, ...script.told].join(" "), "note");
    } catch (fault) {
      if (mine === asked) { busy(false); $("idea-said").textContent = fault.message; }
    }
  });
}
