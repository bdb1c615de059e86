// What the page knows: film and model as the studio last said. Commands go out here, and news comes in as events:
// `opened` (another film, or none), `film`, `model`, `welcome`, `meters`, `picture`, `said`, `told`.

import { call, Wire } from "./wire.js";

const posted = (data) => ({ method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(data) });

/** The studio counts shots from 0, people from 1. */
const forPeople = (text) => text.replace(/\bshot (\d+)/g, (all, index) => `shot ${Number(index) + 1}`);

export class Studio extends EventTarget {
  film = null;
  model = { state: "loading" };

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
    this.model = model;
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

  /** What was done, for those who do not see it. */
  tell(text) {
    this.emit("told", text);
  }

  /** Send a command; resolves to whether it was accepted. What was done is told in the words of `done`. */
  async command(type, fields, done) {
    this.say("");
    const answer = await this.wire.ask(type, fields);
    if (answer.type === "refused") this.say(forPeople(answer.text));
    else if (done) this.tell(done);
    return answer.type === "accepted";
  }

  /** Begin a film; throws with the studio's own words. */
  async begin(caption, seed) {
    const film = await call("/api/films", posted({ global_caption: caption, seed }));
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
    if (this.film && caption) call(`/api/films/${this.film.id}/ahead`, posted({ caption })).catch(() => {});
  }

  /** Unknown words of `text`, and whether it reads as a cut behind `previous`. */
  check(text, previous) {
    return call("/api/check", posted({ text, previous })).catch(() => ({}));
  }
}
