// Writing the next shots: at the film's end, or before a shot; or another caption for the one that is being made.

import { Drafts } from "./drafts.js";
import { $, many, node, seconds } from "./dom.js";
import { watchScripts } from "./script.js";
import { beginFilm } from "./story.js";
import { paragraphs, write } from "./text.js";
import { watchWords } from "./words.js";

const ENDLESS = "endless"; // a length: until Cut, or the next Shoot
const LONGEST = 2000; // characters of one shot's words

export class Composer {
  before = null; // some take of the shot before which the new one goes; null: at the end
  lengths = new Map(); // seconds of captions that came with theirs
  sending = Promise.resolve(); // shots go to the studio in the order in which they were written

  constructor(studio, player) {
    Object.assign(this, { studio, player });
    watchWords($("prompt"), $("prompt-mirror"), $("prompt-words"), $("prompt-hint"), (text) => {
      studio.readAhead(text.trim());
      return studio.check(text, this.previous());
    });
    this.drafts = new Drafts(studio);
    watchScripts(studio, this.lengths);
    studio.on("welcome", (welcome) => showLengths(welcome.lengths, welcome.usual_length));
    studio.on("opened", () => this.insertBefore(null));
    studio.on("film", (film) => {
      $("change").disabled = film === null || film.running === null;
      for (const id of ["change-frame", "change-blend"]) $(id).disabled = $("change").disabled;
      if ($("change").disabled) $("change-frame").value = "";
      this.show();
    });
    $("prompt").addEventListener("input", () => this.show());
    $("composer").addEventListener("submit", (event) => { event.preventDefault(); this.shoot(); });
    $("change").addEventListener("click", () => this.change());
    $("at-end").addEventListener("click", () => { this.insertBefore(null); $("prompt").focus(); });
  }

  /** Where the new shot goes: its index. */
  get at() {
    return this.placeBefore(this.before);
  }

  /** How many shots the film has, those on their way counted. */
  get shots() {
    return (this.studio.film?.shots.length ?? 0) + this.studio.coming.filter(({ type }) => type === "shoot").length;
  }

  placeBefore(take) {
    const shots = this.studio.film?.shots ?? [];
    const index = take === null ? -1 : shots.findIndex((shot) => shot.takes.some((one) => one.id === take));
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
    const written = paragraphs($("prompt").value).length;
    $("ask").textContent = inside ? `What happens before shot ${this.at + 1}?` : "What happens next?";
    $("at-end").hidden = !inside;
    $("composer").classList.toggle("inside", inside);
    $("shoot").firstChild.textContent = `${inside ? "Insert" : "Shoot"}${written > 1 ? ` ${many(written, "shot")}` : ""} `;
  }

  /** What is written becomes shots, a paragraph each. The box is free at once; what is refused comes back to it. */
  shoot() {
    const text = $("prompt").value.trim();
    const { studio, before } = this;
    if (!text) return studio.say("Write what happens in the shot.");
    if (!studio.film && !$("caption").value.trim()) {
      $("caption").focus();
      return studio.say("First say who is in the film, where, and how it looks.");
    }
    const long = paragraphs(text).findIndex((one) => one.length > LONGEST);
    if (long >= 0) return studio.say(`Paragraph ${long + 1} is longer than a shot's words may be: ${LONGEST} characters.`);
    const chosen = $("seconds").value;
    const length = chosen === "" || chosen === ENDLESS ? null : Number(chosen);
    const began = performance.now();
    this.insertBefore(null);
    this.drafts.send(text);
    write($("prompt"), "");
    this.sending = this.sending.then(async () => {
      const answers = !studio.film && !(await beginFilm(studio)) ? [] : this.send(paragraphs(text), { length, endless: chosen === ENDLESS, before, began });
      this.settle(text, answers, before); // not waited for: what is written next may act at the same block
    });
  }

  /** Send the shots; for each, whether it was taken. */
  send(captions, { length, endless, before, began }) {
    const { studio, player } = this;
    const at = this.placeBefore(before);
    const inside = before !== null && at < studio.film.shots.length;
    if (!inside) {
      player.follow();
      player.tell("taken");
      if (studio.film.running === null && !studio.film.queue.length) player.askedAt = began;
    }
    const done = captions.length > 1 ? `${many(captions.length, "shot")} are queued.` : `Shot ${(inside ? at : this.shots) + 1} is queued.`;
    return captions.map((caption, number) => {
      const [type, place] = inside ? ["insert", { at: at + number }] : ["shoot", endless ? { endless } : {}];
      return studio.command(type, { ...place, caption, seconds: length ?? this.lengths.get(caption) ?? null }, done);
    });
  }

  /** What of `text` was refused comes back into the box. */
  async settle(text, answers, before) {
    const taken = await Promise.all(answers);
    const left = paragraphs(text).filter((_, number) => !taken[number]);
    if (left.length) this.giveBack(left.join("\n\n"), before);
    this.drafts.settle(text);
  }

  giveBack(text, before) {
    const since = $("prompt").value;
    write($("prompt"), since.trim() ? `${text}\n\n${since}` : text);
    this.before ??= before;
    this.show();
  }

  async change() {
    const caption = $("prompt").value.trim();
    if (!caption) return this.studio.say("Write what the shot should become, then press Change now.");
    this.drafts.send(caption);
    write($("prompt"), "");
    const [at, blend] = [$("change-frame").value, $("change-blend").value];
    const told = { caption, ...(at === "" ? {} : { frame: Number(at) }), ...(blend === "" ? {} : { blend: Number(blend) }) };
    const done = `The running shot changes${at === "" ? "" : ` at frame ${at}`}${blend === "" ? "" : `, within ${blend} seconds`}.`;
    if (!(await this.studio.command("change", told, done))) this.giveBack(caption, null);
    this.drafts.settle(caption);
  }
}

function showLengths(lengths, usual) {
  const select = $("seconds");
  const chosen = select.value;
  select.replaceChildren(node("option", { value: "" }, `usual, ${seconds(usual)}`), ...lengths.map((one) => node("option", { value: String(one) }, seconds(one))), node("option", { value: ENDLESS }, "until cut"));
  select.value = chosen;
}
