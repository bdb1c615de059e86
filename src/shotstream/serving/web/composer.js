// Writing the next shot: at the film's end, or before a shot; or another caption for the one that is being made.

import { $, node, seconds } from "./dom.js";
import { beginFilm } from "./story.js";
import { watchWords } from "./words.js";

export class Composer {
  before = null; // some take of the shot before which the new one goes; null: at the end

  constructor(studio, player) {
    Object.assign(this, { studio, player });
    watchWords($("prompt"), $("prompt-mirror"), $("prompt-words"), $("prompt-hint"), (text) => {
      studio.readAhead(text.trim());
      return studio.check(text, this.previous());
    });
    studio.on("welcome", (welcome) => showLengths(welcome.lengths, welcome.usual_length));
    studio.on("opened", () => this.insertBefore(null));
    studio.on("film", (film) => {
      $("change").hidden = film === null || film.running === null;
      this.show();
    });
    $("composer").addEventListener("submit", (event) => { event.preventDefault(); this.shoot(); });
    $("change").addEventListener("click", () => this.change());
    $("at-end").addEventListener("click", () => { this.insertBefore(null); $("prompt").focus(); });
  }

  /** Where the new shot goes: its index. */
  get at() {
    const shots = this.studio.film?.shots ?? [];
    const index = this.before === null ? -1 : shots.findIndex((shot) => shot.takes.some((take) => take.id === this.before));
    return index < 0 ? shots.length : index;
  }

  previous() {
    return this.studio.film?.shots[this.at - 1]?.caption ?? null;
  }

  /** The next shot goes before shot `index`; null: at the end. */
  insertBefore(index) {
    this.before = index === null ? null : this.studio.film.shots[index].takes[0].id;
    this.show();
    if (index !== null) $("prompt").focus();
  }

  show() {
    const shots = this.studio.film?.shots.length ?? 0;
    const inside = this.at < shots;
    $("ask").textContent = inside ? `What happens before shot ${this.at + 1}?` : "What happens next?";
    $("at-end").hidden = !inside;
    $("shoot").firstChild.textContent = inside ? "Insert " : "Shoot ";
  }

  async shoot() {
    const { studio, player } = this;
    const caption = $("prompt").value.trim();
    if (!caption) return studio.say("Write what happens in the shot.");
    const began = performance.now();
    if (!studio.film && !(await beginFilm(studio))) return;
    const length = $("seconds").value === "" ? null : Number($("seconds").value);
    const at = this.at;
    const inside = at < studio.film.shots.length;
    if (!inside) {
      player.follow();
      player.tell("taken");
      if (studio.film.running === null && !studio.film.queue.length) player.askedAt = began;
    }
    const [type, place] = inside ? ["insert", { at }] : ["shoot", {}];
    if (!(await studio.command(type, { ...place, caption, seconds: length }, `Shot ${at + 1} is planned.`))) return;
    this.insertBefore(null);
    this.empty();
  }

  async change() {
    const caption = $("prompt").value.trim();
    if (!caption) return this.studio.say("Write what the shot should become, then press Change now.");
    if (await this.studio.command("change", { caption }, "The running shot changes.")) this.empty();
  }

  empty() {
    $("prompt").value = "";
    $("prompt").dispatchEvent(new Event("input"));
  }
}

function showLengths(lengths, usual) {
  const select = $("seconds");
  const chosen = select.value;
  select.replaceChildren(node("option", { value: "" }, `usual (${seconds(usual)})`), ...lengths.map((one) => node("option", { value: String(one) }, seconds(one))));
  select.value = chosen;
}
