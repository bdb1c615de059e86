// The playhead: shows live frames as they arrive (JPEG on a canvas, or MP4 on a reel beneath it), made ones by its own
// clock. Events: `moved`, `shown`, `taken` (by hand).

import { chosenOf, lasts } from "./dom.js";
import { Painter } from "./frames.js";

export class Player extends EventTarget {
  segments = []; // of the film: {shot, take, frames, start, skip}; `skip` frames of the take are before its in point
  length = 0;
  place = 0; // the frame of the film on the screen
  following = true; // show live frames as they come
  playing = false;
  held = false; // the live picture stands still for a moment
  busy = false; // there is, or will be, something live to see
  loop = false; // play the shot again and again
  speed = 1;
  clock = null; // where it was begun to play, and when
  shown = []; // when frames were shown, for the meter

  constructor(canvas, frames, reel) {
    super();
    Object.assign(this, { canvas, frames, reel, running: null });
    this.painter = new Painter(canvas);
    reel.addEventListener("frame", () => this.roll());
    reel.addEventListener("failed", () => this.onCanvas());
  }

  /** What the screen shows: `live`, `held` (live, standing still), `playing` or `paused`. */
  get mode() {
    if (this.following && this.busy) return this.held ? "held" : "live";
    return this.playing ? "playing" : "paused";
  }

  tell(name) {
    this.dispatchEvent(new Event(name));
  }

  /** Another film, or none. */
  open(film) {
    Object.assign(this, { segments: [], length: 0, place: 0, playing: false, held: false, busy: false, running: null });
    if (film) this.painter.size(film.width, film.height);
    else this.painter.clear();
    if (!film) this.reel.close();
    this.onCanvas();
    this.join();
    this.tell("moved");
  }

  /** The film as it stands: chosen takes, and the one being made in the place of its shot. */
  load(film) {
    this.fps = film.fps;
    this.running = film.running;
    this.busy = film.running !== null || (film.queue.length > 0 && !film.paused);
    if (!this.busy && this.held) this.leave(); // pictures that are still on their way must not move it
    const here = this.here();
    let start = 0;
    this.segments = [];
    film.shots.forEach((shot, index) => {
      const running = shot.takes.find((one) => one.id === film.running);
      const take = running?.frames ? running : chosenOf(shot);
      if (!take || !take.frames) return;
      const frames = lasts(take);
      this.segments.push({ shot: index, take: take.id, frames, start, skip: take.start });
      start += frames;
    });
    this.length = start;
    const stood = this.place;
    const begins = here && this.segments.find((one) => one.shot === here.shot)?.start; // of another take of its shot
    if (here) this.place = this.placeOf(here.take, here.frame) ?? begins ?? Math.min(this.place, Math.max(0, start - 1));
    this.place = this.onScreen() ?? this.place;
    if (this.clock) this.clock.from += this.place - stood;
    this.tell("moved");
    const live = this.following && (film.running !== null || this.reel.rolling);
    if (this.length && !this.playing && !live && this.here().take !== here?.take) this.draw();
    if (this.length) return;
    this.painter.clear();
    this.onCanvas();
  }

  here() {
    const segment = this.segments.findLast((one) => one.start <= this.place);
    return segment && { ...segment, frame: segment.skip + Math.min(this.place - segment.start, segment.frames - 1) };
  }

  placeOf(take, frame) {
    const segment = this.segments.find((one) => one.take === take);
    return segment && segment.start + Math.max(0, Math.min(frame - segment.skip, segment.frames - 1));
  }

  /** Where the reel's frame is, while it is followed: it may have been shown before the film was told to be that long. */
  onScreen() {
    if (!this.following || this.playing || !this.canvas.classList.contains("behind")) return undefined;
    const at = this.reel.open ? this.reel.at() : undefined;
    return at && this.placeOf(at.take, at.frame);
  }

  /** A picture from the wire, kept already. */
  see(picture) {
    if (picture.data) return this.reel.put(picture);
    if (this.mode === "held" || !this.following || this.playing) return;
    this.paint(picture.blob);
    this.place = this.placeOf(picture.take, picture.frame) ?? this.place;
    this.tell("moved");
  }

  /** The reel shows another frame. */
  roll() {
    if (!this.following || this.playing) return;
    const at = this.reel.at();
    const place = at && this.placeOf(at.take, at.frame);
    if (place === undefined) { // it is no longer in the film
      if (at) this.reel.skip(at.take);
      if (this.canvas.classList.contains("behind") && this.here()?.take !== this.running) this.draw();
      return;
    }
    this.onReel();
    this.place = place;
    this.note();
    this.tell("moved");
  }

  onReel() {
    this.painter.drawn = ++this.painter.order; // no picture that is still on its way comes over it
    this.canvas.classList.add("behind");
    this.reel.video.removeAttribute("aria-hidden");
  }

  onCanvas() {
    this.canvas.classList.remove("behind");
    this.reel.video.setAttribute("aria-hidden", "true");
  }

  /** What the playhead stands on. */
  async draw() {
    const at = this.here();
    if (at && at.take === this.running && this.reel.open) {
      if (this.reel.show(at.take, at.frame)) this.onReel();
      return;
    }
    const blob = at && (await this.frames.get(at.take, at.frame));
    if (blob) await this.paint(blob);
  }

  async paint(blob) {
    if (!(await this.painter.draw(blob))) return;
    this.onCanvas();
    this.note();
  }

  /** A frame is on the screen. */
  note() {
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
    this.leave();
    this.place = Math.max(0, Math.min(this.length - 1, Math.round(place)));
    this.tell("moved");
    await this.draw();
  }

  async play() {
    if (this.playing || !this.length) return;
    if (this.place >= this.length - 1) this.place = 0;
    this.playing = true;
    this.leave();
    const clock = (this.clock = { from: this.place, began: performance.now() }); // who plays again has another one
    const shot = this.here();
    while (this.playing && this.clock === clock) {
      const rate = (this.fps * this.speed) / 1000;
      const wanted = clock.from + Math.floor((performance.now() - clock.began) * rate);
      const stretch = this.loop && this.segments.find((one) => one.take === shot.take);
      if (wanted >= (stretch ? stretch.start + stretch.frames : this.length)) {
        if (!stretch) break;
        Object.assign(clock, { from: stretch.start, began: performance.now() });
        continue;
      }
      if (wanted !== this.place || wanted === clock.from) await this.step(wanted, clock);
      const due = clock.began + (this.place - clock.from + 1) / rate;
      await new Promise((resolve) => setTimeout(resolve, 4 + Math.max(0, due - performance.now())));
    }
    if (this.clock !== clock) return;
    const ended = this.playing;
    this.playing = false;
    if (ended) this.join();
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
    if (next && next.take !== this.running && next.start - this.place < this.fps) this.frames.get(next.take, next.skip);
  }

  /** Play or pause; a live picture is held, and goes on: nobody is thrown out of it. */
  toggle() {
    if (this.mode === "live") this.hold();
    else if (this.mode === "held") this.follow();
    else if (this.playing) this.pause();
    else this.play();
  }

  /** The live picture stands still; what is made meanwhile is made all the same. */
  hold() {
    this.held = true;
    this.reel.pause();
    this.tell("moved");
  }

  /** Stand still, `step` frames on or back. */
  nudge(step) {
    if (this.length) return this.seek(this.place + step);
  }

  /** Play `speed` times as fast. */
  pace(speed) {
    this.speed = speed;
    if (this.clock) Object.assign(this.clock, { from: this.place, began: performance.now() });
    this.tell("moved");
  }

  pause() {
    this.playing = false;
    this.tell("moved");
  }

  /** Show what is being made. */
  follow() {
    this.playing = false;
    this.join();
    this.place = Math.max(0, this.length - 1);
    this.tell("moved");
  }

  /** Live pictures are shown from now on. */
  join() {
    this.following = true;
    this.held = false;
    this.reel.follow(this.running !== null);
  }

  /** They are not. */
  leave() {
    this.following = false;
    this.held = false;
    this.reel.pause();
  }
}
