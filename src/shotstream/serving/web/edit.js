// Words, length and seed of a shot, and the story of the film: changed in a dialog, and made anew when that is asked for.

import { $, chosenOf, node, plain, seconds } from "./dom.js";
import { watchWords } from "./words.js";

/** A seed nobody thought of. */
export const draw = () => crypto.getRandomValues(new Uint32Array(1))[0];

const isMade = (shot) => shot.chosen !== null;

export class Editor {
  key = null; // some take of the shot under work; "story": the film's own words
  left = new Map(); // what was being written when a dialog was closed, by key

  constructor(studio, player) {
    Object.assign(this, { studio, player });
    this.look = watchWords($("edit-words"), $("edit-mirror"), $("edit-unknown"), null, (text) => studio.check(text, null));
    studio.on("welcome", ({ lengths }) => { this.lengths = lengths; });
    studio.on("opened", () => this.left.clear());
    $("edit-die").addEventListener("click", () => { $("edit-seed").value = draw(); });
    $("edit-same").addEventListener("click", () => { $("edit-seed").value = this.seed; });
    $("edit-cancel").addEventListener("click", () => $("edit-dialog").close());
    $("edit-dialog").addEventListener("close", () => this.key === null || this.left.set(this.key, $("edit-words").value));
    $("edit-form").addEventListener("submit", (event) => { event.preventDefault(); this.send(); });
  }

  get index() {
    return this.studio.film.shots.findIndex((shot) => shot.takes.some((take) => take.id === this.key));
  }

  /** Edit shot `index`. */
  open(index) {
    const shot = this.studio.film.shots[index];
    const take = chosenOf(shot) ?? shot.takes.at(-1);
    this.key = shot.takes[0].id;
    this.seed = take.seed;
    const length = isMade(shot) ? take.seconds : shot.seconds;
    $("edit-seconds").replaceChildren(node("option", { value: "" }, `as it is, ${seconds(length)}`), ...this.lengths.map((one) => node("option", { value: String(one) }, seconds(one))));
    $("edit-seed").value = "";
    $("edit-same").textContent = `The same seed: ${take.seed}`;
    const [title, note, does] = isMade(shot)
      ? [`Take shot ${index + 1} again`, "A new take; the old one is kept. Without a seed it gets one of its own.", "Retake"]
      : [`Shot ${index + 1}, which waits`, "It is made like this when its turn comes.", "Save"];
    this.show(title, "What the shot shows", take.caption, note, does);
  }

  /** Edit the words of the whole film. */
  openStory() {
    this.key = "story";
    const made = this.studio.film.shots.filter(isMade).length;
    const note = made ? "What is made stays as it is, and is outdated until you remake it." : "It holds for every shot.";
    this.show("The story", "Who is in the film, and where", this.studio.film.global_caption, note, "Change the story");
  }

  show(title, label, words, note, does) {
    $("edit-title").textContent = title;
    $("edit-label").textContent = label;
    $("edit-note").textContent = note;
    $("edit-do").textContent = does;
    $("edit-said").textContent = "";
    $("edit-row").hidden = this.key === "story";
    $("edit-words").value = this.left.get(this.key) ?? words;
    this.before = words;
    $("edit-dialog").showModal();
    $("edit-words").focus();
    this.look();
  }

  /** Send what was changed; what is refused stays in the dialog, with the reason. */
  async send() {
    const words = $("edit-words").value.trim();
    if (!words) return void ($("edit-said").textContent = "Write what it shall show.");
    const [type, fields, done] = this.key === "story" ? ["retell", { global_caption: words }, "The film tells another story."] : this.command(words);
    const answer = await this.studio.ask(type, fields, done);
    if (answer.type === "refused") return void ($("edit-said").textContent = plain(answer.text));
    if (type === "retake") this.player.follow();
    this.left.delete(this.key);
    this.key = null;
    $("edit-dialog").close();
  }

  command(words) {
    const { index } = this;
    const [length, seed] = [$("edit-seconds").value, $("edit-seed").value];
    const fields = {
      shot: index,
      ...(words === this.before ? {} : { caption: words }),
      ...(length === "" ? {} : { seconds: Number(length) }),
      ...(seed === "" ? {} : { seed }),
    };
    return isMade(this.studio.film.shots[index])
      ? ["retake", fields, `Another take of shot ${index + 1} is queued.`]
      : ["revise", fields, `Shot ${index + 1} is changed.`];
  }
}
