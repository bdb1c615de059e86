// Two takes of a shot side by side, playing together; the shorter one stays on its last frame.

import { $, node, plain, seconds } from "./dom.js";
import { Painter } from "./frames.js";

export class Compare {
  sides = []; // [{take, painter, select, use}]
  playing = false;
  frame = 0;

  constructor(studio, frames) {
    Object.assign(this, { studio, frames });
    this.sides = ["a", "b"].map((side) => ({ take: null, painter: new Painter($(`compare-${side}`)), select: $(`compare-${side}-take`), use: $(`compare-${side}-use`) }));
    for (const side of this.sides) {
      side.select.addEventListener("change", () => { side.take = Number(side.select.value); this.show(); });
      side.use.addEventListener("click", () => this.use(side));
    }
    $("compare-play").addEventListener("click", () => (this.playing ? this.pause() : this.play()));
    $("compare-scrub").addEventListener("input", () => { this.pause(); this.seek(Number($("compare-scrub").value)); });
    $("compare-close").addEventListener("click", () => $("compare-dialog").close());
    $("compare-dialog").addEventListener("close", () => this.pause());
    studio.on("film", () => $("compare-dialog").open && this.show());
  }

  get shot() {
    return this.studio.film?.shots.find((shot) => shot.takes.some((take) => take.id === this.key));
  }

  get made() {
    return (this.shot?.takes ?? []).filter((take) => take.state === "finished" || take.state === "cut");
  }

  /** Show shot `index`: the take before the chosen one at the left, the chosen one at the right. */
  open(index) {
    this.key = this.studio.film.shots[index].takes[0].id;
    const { made, shot } = this;
    if (made.length < 2) return;
    const chosen = made.findIndex((take) => take.id === shot.chosen);
    const other = chosen > 0 ? chosen - 1 : 1;
    [this.sides[0].take, this.sides[1].take] = [made[other].id, made[chosen].id].sort((a, b) => a - b);
    $("compare-title").textContent = `Shot ${index + 1}: two takes`;
    $("compare-save").href = `api/films/${this.studio.film.id}/shots/${index}/compare.mp4`;
    for (const side of this.sides) side.painter.size(this.studio.film.width, this.studio.film.height);
    $("compare-dialog").showModal();
    this.frame = 0;
    this.show();
    this.play();
  }

  show() {
    const { made, shot } = this;
    if (made.length < 2) return $("compare-dialog").close();
    const words = this.sides.map((side) => plain(made.find((take) => take.id === side.take)?.caption ?? shot.caption));
    $("compare-caption").textContent = words[0] === words[1] ? words[0] : `Left: ${words[0]} Right: ${words[1]}`;
    for (const side of this.sides) {
      if (!made.some((take) => take.id === side.take)) side.take = shot.chosen;
      side.select.replaceChildren(...made.map((take, number) => node("option", { value: String(take.id) }, `Take ${number + 1} (${seconds(take.frames / this.studio.film.fps)})`)));
      side.select.value = String(side.take);
      side.use.disabled = side.take === shot.chosen || shot.locked;
      side.use.textContent = side.take === shot.chosen ? "In the film" : "Use this take";
    }
    $("compare-scrub").max = this.length - 1;
    this.seek(this.frame);
  }

  get length() {
    return Math.max(...this.sides.map((side) => this.made.find((take) => take.id === side.take)?.frames ?? 1));
  }

  async seek(frame) {
    this.frame = Math.min(frame, this.length - 1);
    $("compare-scrub").value = this.frame;
    $("compare-scrub").setAttribute("aria-valuetext", seconds(this.frame / this.studio.film.fps));
    const blobs = await Promise.all(this.sides.map((side) => this.frames.get(side.take, this.frame)));
    await Promise.all(blobs.map((blob, index) => blob && this.sides[index].painter.draw(blob)));
  }

  async play() {
    this.playing = true;
    this.showPlaying();
    await this.seek(this.frame); // everything is fetched before the clock starts
    const clock = (this.clock = { from: this.frame, began: performance.now() });
    while (this.playing && this.clock === clock) {
      await this.seek((clock.from + Math.floor(((performance.now() - clock.began) * this.studio.film.fps) / 1000)) % this.length);
      await new Promise((resolve) => setTimeout(resolve, 1000 / this.studio.film.fps));
    }
  }

  pause() {
    this.playing = false;
    this.clock = null;
    this.showPlaying();
  }

  showPlaying() {
    $("compare-play").dataset.playing = this.playing;
    $("compare-play").setAttribute("aria-label", this.playing ? "Pause both" : "Play both");
  }

  use(side) {
    const index = this.studio.film.shots.indexOf(this.shot);
    const number = this.made.findIndex((take) => take.id === side.take);
    this.studio.command("choose", { shot: index, take: side.take }, `Take ${number + 1} is in the film.`);
  }
}
