// What is being written is kept with its film, so that neither a reload nor another film loses a character of it.

import { $ } from "./dom.js";
import { write } from "./text.js";

const KEPT = 30; // films whose drafts are kept
const FIELDS = ["prompt", "caption"];

export class Drafts {
  film = "new";
  sent = []; // texts on their way to the studio: a draft still, until it has taken them

  constructor(studio) {
    for (const field of FIELDS) $(field).addEventListener("input", () => this.save());
    studio.on("opened", (film) => this.open(film?.id ?? "new"));
    this.show();
  }

  get all() {
    try {
      return JSON.parse(localStorage.drafts ?? "{}");
    } catch {
      return {};
    }
  }

  save() {
    const { all } = this;
    delete all[this.film];
    const texts = { prompt: [...this.sent, $("prompt").value].filter(Boolean).join("\n\n"), caption: $("caption").value };
    const kept = Object.entries(all).slice(1 - KEPT);
    if (texts.prompt || (this.film === "new" && texts.caption)) kept.push([this.film, texts]);
    localStorage.drafts = JSON.stringify(Object.fromEntries(kept));
  }

  /** `text` has left the box, and may come back. */
  send(text) {
    this.sent.push(text);
    this.save();
  }

  /** It has been taken, or is in the box again. */
  settle(text) {
    this.sent = this.sent.filter((one) => one !== text);
    this.save();
  }

  /** The pen goes on with film `id`; what was written for a film that has just begun goes with it. */
  open(id) {
    if (id === this.film) return;
    const begun = this.film === "new" && this.sent.length > 0;
    if (begun) {
      const { new: gone, ...rest } = this.all;
      localStorage.drafts = JSON.stringify(rest);
      this.film = id;
      return this.save();
    }
    this.film = id;
    this.show();
  }

  show() {
    const draft = this.all[this.film] ?? {};
    for (const field of FIELDS) write($(field), draft[field] ?? "");
  }
}
