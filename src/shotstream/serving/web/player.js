// Shows frames: live ones as they arrive, made ones by its own clock.

import { unpack } from "./wire.js";

const KEPT = 24; // takes whose frames stay in memory

export class Player {
  constructor(canvas, { moved }) {
    this.canvas = canvas;
    this.context = canvas.getContext("2d");
    this.moved = moved;
    this.takes = new Map(); // take -> {blobs: [], whole: false}
    this.segments = []; // of the film: {shot, take, frames, start}
    this.place = 0; // the frame of the film on the screen
    this.following = true; // show live frames as they come
    this.playing = false;
    this.shown = []; // when frames were shown, for the meter
    this.drawn = 0;
    this.order = 0;
  }

  /** The film as it stands: chosen takes, and the one being made in the place of its shot. */
  load(film) {
    if (film.id !== this.film) {
      Object.assign(this, { film: film.id, place: 0, playing: false, following: true, segments: [] });
      this.takes.clear();
      this.canvas.width = film.width;
      this.canvas.height = film.height;
    }
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
    if (here) this.place = this.placeOf(here.take, here.frame) ?? Math.min(this.place, Math.max(0, start - 1));
  }

  here() {
    const segment = this.segments.findLast((one) => one.start <= this.place);
    return segment && { ...segment, frame: Math.min(this.place - segment.start, segment.frames - 1) };
  }

  placeOf(take, frame) {
    const segment = this.segments.find((one) => one.take === take);
    return segment && segment.start + Math.min(frame, segment.frames - 1);
  }

  /** A picture from the wire. */
  see(picture) {
    const kept = this.keep(picture.take);
    kept.blobs[picture.frame] = picture.blob;
    if (!this.following || this.playing) return;
    this.draw(picture.blob);
    this.place = this.placeOf(picture.take, picture.frame) ?? this.place;
    this.moved();
  }

  keep(take) {
    const kept = this.takes.get(take) ?? { blobs: [], whole: false };
    this.takes.delete(take);
    this.takes.set(take, kept);
    if (this.takes.size > KEPT) this.takes.delete(this.takes.keys().next().value);
    return kept;
  }

  async draw(blob) {
    const order = ++this.order;
    const bitmap = await createImageBitmap(blob);
    if (order < this.drawn) return bitmap.close();
    this.drawn = order;
    this.context.drawImage(bitmap, 0, 0, this.canvas.width, this.canvas.height);
    bitmap.close();
    const now = performance.now();
    this.shown = [...this.shown.filter((at) => now - at < 2000), now];
    this.canvas.dispatchEvent(new CustomEvent("shown"));
  }

  /** Frames shown a second, lately. */
  rate() {
    const now = performance.now();
    const recent = this.shown.filter((at) => now - at < 2000);
    return recent.length > 4 ? ((recent.length - 1) * 1000) / (recent.at(-1) - recent[0]) : null;
  }

  /** The picture of a frame of a made take; fetched once. */
  async blob(take, frame) {
    const kept = this.keep(take);
    if (!kept.blobs[frame] && !kept.whole) {
      kept.loading ??= fetch(`/api/films/${this.film}/takes/${take}/frames`).then(async (answer) => {
        if (!answer.ok) return;
        for (const picture of unpack(await answer.arrayBuffer())) kept.blobs[picture.frame] = picture.blob;
        kept.whole = true;
      }).finally(() => { kept.loading = null; });
      await kept.loading;
    }
    return kept.blobs[frame] ?? kept.blobs.findLast((one, index) => one && index <= frame);
  }

  async seek(place) {
    this.place = Math.max(0, Math.min(this.length - 1, Math.round(place)));
    this.following = false;
    const at = this.here();
    this.moved();
    if (!at) return;
    const blob = await this.blob(at.take, at.frame);
    if (blob) await this.draw(blob);
  }

  async play() {
    if (this.playing || !this.length) return;
    if (this.place >= this.length - 1) this.place = 0;
    this.playing = true;
    this.following = false;
    const fps = this.fps;
    let [from, began] = [this.place, performance.now()];
    while (this.playing) {
      const wanted = from + Math.floor(((performance.now() - began) * fps) / 1000);
      if (wanted >= this.length) break;
      if (wanted !== this.place || wanted === from) {
        this.place = wanted;
        const at = this.here();
        const asked = performance.now();
        const blob = await this.blob(at.take, at.frame);
        if (performance.now() - asked > 100) [from, began] = [wanted, performance.now()]; // it had to be fetched
        if (blob) await this.draw(blob);
        this.moved();
        const next = this.segments.find((one) => one.start > this.place);
        if (next && next.start - this.place < fps) this.blob(next.take, 0);
      }
      await new Promise((resolve) => setTimeout(resolve, 4 + Math.max(0, began + ((this.place - from + 1) * 1000) / fps - performance.now())));
    }
    const ended = this.playing;
    this.playing = false;
    if (ended) this.following = true;
    this.moved();
  }

  pause() {
    this.playing = false;
    this.moved();
  }

  /** Show what is being made. */
  follow() {
    this.playing = false;
    this.following = true;
    this.place = Math.max(0, this.length - 1);
    this.moved();
  }

  clear() {
    this.segments = [];
    this.takes.clear();
    this.film = null;
    this.length = this.place = 0;
    this.context.clearRect(0, 0, this.canvas.width, this.canvas.height);
  }
}
