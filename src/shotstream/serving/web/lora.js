// LoRA adapters: how much of each the takes to come are made with.

import { $, fill, node, plain } from "./dom.js";

export function showLora(studio) {
  function draw() {
    const { film, model } = studio;
    const loaded = model.lora ?? {};
    $("lora").hidden = !film || !Object.keys(loaded).length;
    if ($("lora").hidden) return;
    const used = film.lora ?? loaded;
    fill($("lora"), Object.keys(loaded).map((name) => {
      const field = node("input", { type: "number", min: -4, max: 4, step: 0.1, value: used[name] ?? 0, title: "1 is as it was trained, 0 is none of it; for takes to come", data: { key: `lora-${name}` } });
      field.addEventListener("change", () => {
        const weight = Math.min(4, Math.max(-4, Number(field.value)));
        const all = Object.fromEntries(Object.keys(loaded).map((one) => [one, one === name ? weight : used[one] ?? 0]));
        studio.command("lora", { lora: all }, `From the next take on: ${plain(name)} ${weight}.`).then((done) => done || draw());
      });
      return node("label", { className: "field" }, plain(name), field);
    }));
  }
  studio.on("film model", draw);
}
