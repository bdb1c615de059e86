// Pictures of takes: live ones are put in as they come, those of made takes are fetched once.

import { unpack } from "./wire.js";

const KEPT = 24; // takes whose pictures stay in memory

export class Frames {
  film = null;
  takes = new Map(); // take -> {blobs: [], whole: false, loading: null}

  open(film) {
    if (film === this.film) return;
    this.film = film;
    this.takes.clear();
  }

  put(picture) {
    this.keep(picture.take).blobs[picture.frame] = picture.blob;
  }

  keep(take) {
    const kept = this.takes.get(take) ?? { blobs: [], whole: false, loading: null };
    this.takes.delete(take);
    this.takes.set(take, kept);
    if (this.takes.size > KEPT) this.takes.delete(this.takes.keys().next().value);
    return kept;
  }

  /** The picture of a frame, or the latest there is before it. */
  async get(take, frame) {
    const kept = this.keep(take);
    if (!kept.blobs[frame] && !kept.whole) {
      kept.loading ??= this.fetch(take, kept);
      await kept.loading;
    }
    return kept.blobs[frame] ?? kept.blobs.findLast((one, index) => one && index <= frame);
  }

  async fetch(take, kept) {
    const answer = await fetch(`api/films/${this.film}/takes/${take}/frames`);
    if (answer.ok) {
      for (const picture of unpack(await answer.arrayBuffer())) kept.blobs[picture.frame] = picture.blob;
      kept.whole = true;
    }
    kept.loading = null;
  }
}

/** Draws pictures on a canvas in the order in which they were asked for; a late one is left out. */
export class Painter {
  order = 0;
  drawn = 0;

  constructor(canvas) {
    this.canvas = canvas;
    this.context = canvas.getContext("2d");
  }

  size(width, height) {
    this.canvas.width = width;
    this.canvas.height = height;
  }

  /** Resolves to whether `blob` was drawn. */
  async draw(blob) {
    const order = ++this.order;
    const bitmap = await createImageBitmap(blob);
    const due = order > this.drawn;
    if (due) {
      this.drawn = order;
      this.context.drawImage(bitmap, 0, 0, this.canvas.width, this.canvas.height);
    }
    bitmap.close();
    return due;
  }

  clear() {
    this.drawn = ++this.order;
    this.context.clearRect(0, 0, this.canvas.width, this.canvas.height);
  }
}
