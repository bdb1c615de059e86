// What the page knows: film and model as the studio last said. Commands go out here, and news comes in as events:
// `opened` (another film, or none), `film`, `coming` (commands), `model`, `welcome`, `meters`, `picture`, `said`, `told`.

import { send, Wire } from "./wire.js";

/** The studio counts shots from 0, people from 1. */
const forPeople = (text) => text.replace(/\bshot (\d+)/g, (all, index) => `shot ${Number(index) + 1}`);

/** Commands whose doing is shown with an Undo beside it: the film looks otherwise afterwards, perhaps out of sight. */
const EDITS = new Set(["delete", "move", "duplicate", "lock", "choose", "remove", "clear", "branch", "switch", "drop", "revise", "retell", "context_policy", "remake_stale", "trim", "mark", "unpin", "lora"]);

export class Studio extends EventTarget {
  film = null;
  model = { state: "loading" };
  coming = []; // commands on their way: {type, ..., accepted}; taken in at once, they are done when a block is made

  constructor() {
    super();
    this.wire = new Wire({ hear: (message) => this.hear(message), see: (picture) => this.emit("picture", picture), lost: () => this.learn({ state: "away" }) });
  }

  on(names, act) {
    for (const name of names.split(" ")) this.addEventListener(name, (event) => act(event.detail));
  }

  emit(name, detail) {
    this.dispatchEvent(new CustomEvent(name, { detail }));
  }

  hear(message) {
    if (message.type === "welcome") {
      this.emit("welcome", message);
      this.learn(message.model);
      this.show(message.film);
    } else if (message.type === "film") this.show(message);
    else if (message.type === "model") this.learn(message.model);
    else if (message.type === "meters") this.emit("meters", message);
    else if (message.type === "notice") this.say(forPeople(message.text));
    else if (message.type === "refused" && message.code === "no_such_film") {
      this.leave();
      this.say(message.text);
    }
  }

  learn(model) {
    const ready = model.state === "ready" && this.model.version !== model.version;
    this.model = model;
    if (ready) this.emit("ready", model); // its words may be others
    this.emit("model", model);
  }

  show(film) {
    const another = film.id !== this.film?.id;
    this.film = film;
    if (another) this.emit("opened", film);
    this.emit("film", film);
  }

  /** Something a person has to know; empty: nothing any more. */
  say(text) {
    this.emit("said", text);
  }

  /** What was done; `show`: for all to see, as a `note` or as an `edit`, which can be taken back. */
  tell(text, show = "") {
    this.emit("told", { text, show });
  }

  /** Send a command; resolves to whether it was done. What was done is told in the words of `done`. */
  async command(type, fields, done) {
    this.say("");
    const answer = await this.ask(type, fields, done);
    if (answer.type === "refused") this.say(answer.text);
    return answer.type === "applied";
  }

  /** The same; resolves to the studio's answer, a refusal in words for people. */
  async ask(type, fields, done) {
    const one = { ...fields, type, accepted: false };
    const show = () => this.emit("coming");
    this.coming.push(one);
    show();
    const answer = await this.wire.ask(type, fields, () => { one.accepted = true; show(); });
    this.coming.splice(this.coming.indexOf(one), 1);
    show();
    if (answer.type === "refused") return { ...answer, text: forPeople(answer.text) };
    if (done) this.tell(done, EDITS.has(type) ? "edit" : "");
    return answer;
  }

  /** Begin a film; throws with the studio's own words. */
  async begin(caption, seed) {
    const film = await send("POST", "api/films", { global_caption: caption, seed });
    await this.attach(film.id);
  }

  async attach(id) {
    this.film = null;
    await this.wire.attach(id);
  }

  leave() {
    this.wire.close();
    this.film = null;
    this.say("");
    this.emit("opened", null);
    this.emit("film", null);
  }

  /** Let the model read a draft of the next caption; if it does not, the shot only starts a little later. */
  readAhead(caption) {
    if (this.film && caption) send("POST", `api/films/${this.film.id}/ahead`, { caption }).catch(() => {});
  }

  /** Words of `text` that are unknown or not read, and whether it reads as a cut after `previous`. */
  check(text, previous) {
    return send("POST", "api/check", { text: text.slice(0, 2000), previous, story: this.film?.global_caption ?? "" }).catch(() => ({}));
  }

  /** The shots of a script in one of the formats that are known; null: it is in none. */
  script(text) {
    return send("POST", "api/script", { text }).catch(() => null);
  }
}
