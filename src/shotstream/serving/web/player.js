// The playhead: shows live frames as they arrive, made ones by its own clock. Events: `moved`, `shown`, `taken` (by hand).

import { Painter } from "./frames.js";

export class Player extends EventTarget {
  segments = []; // of the film: {shot, take, frames, start}
  length = 0;
  place = 0; // the frame of the film on the screen
  following = true; // show live frames as they come
  playing = false;
  clock = null; // where it was begun to play, and when
  shown = []; // when frames were shown, for the meter

  constructor(canvas, frames) {
    super();
    this.frames = frames;
    this.painter = new Painter(canvas);
  }

  tell(name) {
    this.dispatchEvent(new Event(name));
  }

  /** Another film, or none. */
  open(film) {
    Object.assign(this, { segments: [], length: 0, place: 0, playing: false, following: true });
    if (film) this.painter.size(film.width, film.height);
    else this.painter.clear();
    this.tell("moved");
  }

  /** The film as it stands: chosen takes, and the one being made in the place of its shot. */
  load(film) {
    this.fps = film.fps;
    const here = this.here();
    let start = 0;
    this.segments = [];
    film.shots.forEach((shot, index) => {
      const take = shot.takes.find((one) => one.id === film.running) ?? shot.takes.find((one) => one.id === shot.chosen);
      if (!take || !take.frames) return;
      this.segments.push({ shot: index, take: take.id, frames: take.frames, start });
      start += take.frames;
    });
    this.length = start;
    const stood = this.place;
    if (here) this.place = this.placeOf(here.take, here.frame) ?? Math.min(this.place, Math.max(0, start - 1));
    if (this.clock) this.clock.from += this.place - stood;
    this.tell("moved");
    const live = this.following && film.running !== null;
    if (this.length && !this.playing && !live && this.here().take !== here?.take) this.draw();
    if (!this.length) this.painter.clear();
  }

  here() {
    const segment = this.segments.findLast((one) => one.start <= this.place);
    return segment && { ...segment, frame: Math.min(this.place - segment.start, segment.frames - 1) };
  }

  placeOf(take, frame) {
    const segment = this.segments.find((one) => one.take === take);
    return segment && segment.start + Math.min(frame, segment.frames - 1);
  }

  /** A picture from the wire, kept already. */
  see(picture) {
    if (!this.following || this.playing) return;
    this.paint(picture.blob);
    this.place = this.placeOf(picture.take, picture.frame) ?? this.place;
    this.tell("moved");
  }

  /** What the playhead stands on. */
  async draw() {
    const at = this.here();
    const blob = at && (await this.frames.get(at.take, at.frame));
    if (blob) await this.paint(blob);
  }

  async paint(blob) {
    if (!(await this.painter.draw(blob))) return;
    const now = performance.now();
    this.shown = [...this.shown.filter((at) => now - at < 2000), now];
    this.tell("shown");
  }

  /** Frames shown a second, lately. */
  rate() {
    const now = performance.now();
    const recent = this.shown.filter((at) => now - at < 2000);
    return recent.length > 4 ? ((recent.length - 1) * 1000) / (recent.at(-1) - recent[0]) : null;
  }

  async seek(place) {
    this.playing = false;
    this.following = false;
    this.place = Math.max(0, Math.min(this.length - 1, Math.round(place)));
    this.tell("moved");
    await this.draw();
  }

  async play() {
    if (this.playing || !this.length) return;
    if (this.place >= this.length - 1) this.place = 0;
    this.playing = true;
    this.following = false;
    const clock = (this.clock = { from: this.place, began: performance.now() }); // who plays again has another one
    while (this.playing && this.clock === clock) {
      const wanted = clock.from + Math.floor(((performance.now() - clock.began) * this.fps) / 1000);
      if (wanted >= this.length) break;
      if (wanted !== this.place || wanted === clock.from) await this.step(wanted, clock);
      const due = clock.began + ((this.place - clock.from + 1) * 1000) / this.fps;
      await new Promise((resolve) => setTimeout(resolve, 4 + Math.max(0, due - performance.now())));
    }
    if (this.clock !== clock) return;
    if (this.playing) this.following = true; // it came to the end
    this.playing = false;
    this.tell("moved");
  }

  /** Frame `wanted` of the film, and the beginning of the next shot made ready. */
  async step(wanted, clock) {
    this.place = wanted;
    const asked = performance.now();
    await this.draw();
    if (performance.now() - asked > 100) Object.assign(clock, { from: this.place, began: performance.now() }); // it had to be fetched
    this.tell("moved");
    const next = this.segments.find((one) => one.start > this.place);
    if (next && next.start - this.place < this.fps) this.frames.get(next.take, 0);
  }

  toggle() {
    if (this.playing) this.pause();
    else this.play();
  }

  pause() {
    this.playing = false;
    this.tell("moved");
  }

  /** Show what is being made. */
  follow() {
    this.playing = false;
    this.following = true;
    this.place = Math.max(0, this.length - 1);
    this.tell("moved");
  }
}
