// Live film as video: pieces of MP4 behind one another in a <video>, by Media Source Extensions.
// Events: `frame` (another one is on the screen), `failed` (this browser cannot; the reel is closed).

const able = () => "MediaSource" in window && "requestVideoFrameCallback" in HTMLVideoElement.prototype;

export class Reel extends EventTarget {
  kept = 30; // seconds behind the playhead that stay in memory
  mostAhead = 1.5; // seconds that may be left to show when a piece comes; more, and it is shown at once
  mostWaiting = 16; // pieces that wait for the browser
  source = null;
  playing = true; // show what comes; else it is only kept
  stoodOn = null; // the end whose last frame was shown by standing on it

  constructor(video) {
    super();
    this.video = video;
    video.addEventListener("error", () => this.open && this.fail());
    video.addEventListener("waiting", () => this.open && this.showLast());
    if (able()) this.watch();
  }

  /** The kinds of pictures this browser can show. */
  static get kinds() {
    return able() ? ["jpeg", "mp4"] : ["jpeg"];
  }

  get open() {
    return this.source !== null;
  }

  /** Begin anew with pieces of type `mime`, `fps` frames a second. */
  begin(mime, fps) {
    this.close();
    if (!MediaSource.isTypeSupported(mime)) return this.fail();
    const source = (this.source = new MediaSource());
    Object.assign(this, { fps, pieces: [], waiting: [], end: 0, from: 0, time: 0, buffer: null, stoodOn: null });
    const url = URL.createObjectURL(source);
    source.addEventListener("sourceopen", () => {
      URL.revokeObjectURL(url);
      if (this.source !== source) return;
      this.buffer = source.addSourceBuffer(mime);
      this.buffer.addEventListener("updateend", () => this.source === source && this.pump());
      this.buffer.addEventListener("error", () => this.source === source && this.fail());
      this.pump();
    }, { once: true });
    this.video.src = url;
    this.video.hidden = false;
  }

  close() {
    this.source = this.buffer = null;
    this.video.hidden = true;
    this.video.removeAttribute("src");
    this.video.load();
  }

  fail() {
    this.close();
    this.dispatchEvent(new Event("failed"));
  }

  /** A piece from the wire: {take, frame, frames, data}. Each begins with a key frame, so that any may be missing. */
  put(piece) {
    if (!this.open) return;
    if (this.waiting.length >= this.mostWaiting) this.waiting.shift();
    this.waiting.push(piece);
    this.pump();
  }

  /** Do the next thing: forget what is long past, or hand the browser a piece. It is called again when that is done. */
  pump() {
    const { buffer, video } = this;
    if (!buffer || buffer.updating) return;
    const first = this.pieces.findIndex((one) => one.end > video.currentTime - this.kept);
    if (first > 0) {
      this.pieces.splice(0, first);
      return buffer.remove(0, this.pieces[0].start);
    }
    if (this.playing && this.pieces.length) this.catchUp();
    const piece = this.waiting.shift();
    if (!piece) return;
    const [start, end] = [this.end, this.end + piece.frames / this.fps];
    try {
      buffer.timestampOffset = start;
      buffer.appendBuffer(piece.data);
    } catch {
      return this.fail(); // full, or ended by the browser
    }
    this.end = end;
    this.pieces.push({ take: piece.take, frame: piece.frame, frames: piece.frames, start, end });
  }

  /** Go on showing what is due from `from` on; if too much is left to show, from the newest piece. */
  catchUp() {
    const newest = this.pieces.at(-1);
    if (newest.end <= this.from) return;
    const late = newest.start - this.video.currentTime > this.mostAhead;
    const wanted = late ? newest.start : this.from;
    if (this.video.currentTime < wanted) this.video.currentTime = wanted;
    if (this.video.paused) this.video.play().catch((fault) => fault.name === "NotAllowedError" && this.fail());
  }

  /** A busy browser may drop the last frame there is, and would then never show it: stand on it. */
  showLast() {
    const dropped = this.waiting.length === 0 && this.end - this.time > 1.5 / this.fps;
    if (!this.playing || !dropped || this.stoodOn === this.end || this.video.currentTime < this.end - 2 / this.fps) return;
    this.stoodOn = this.end;
    this.video.currentTime = this.end - 0.5 / this.fps;
  }

  watch() {
    this.video.requestVideoFrameCallback((now, { mediaTime }) => {
      this.watch();
      if (!this.open) return;
      this.time = mediaTime;
      this.dispatchEvent(new Event("frame"));
    });
  }

  /** The frame on the screen: {take, frame}. */
  at() {
    const piece = this.pieces.findLast((one) => one.start <= this.time + 0.5 / this.fps);
    return piece && { take: piece.take, frame: piece.frame + Math.min(piece.frames - 1, Math.round((this.time - piece.start) * this.fps)) };
  }

  /** Is there more to be shown? */
  get rolling() {
    return this.open && this.playing && (this.waiting.length > 0 || (this.end > this.from && this.end - this.time > 1.5 / this.fps));
  }

  /** Show what comes; with `live`, the newest piece too. */
  follow(live) {
    this.playing = true;
    if (!this.open || !this.pieces.length) return;
    this.from = live ? this.pieces.at(-1).start : this.end;
    this.catchUp();
  }

  pause() {
    this.playing = false;
    this.video.pause();
  }

  /** Stand still on a frame; false: it is not here. */
  show(take, frame) {
    const piece = this.pieces.findLast((one) => one.take === take && one.frame <= frame && frame < one.frame + one.frames);
    if (!piece) return false;
    this.pause();
    this.video.currentTime = piece.start + (frame - piece.frame + 0.5) / this.fps;
    return true;
  }

  /** Leave out what is left of `take`. */
  skip(take) {
    const next = this.pieces.find((one) => one.start > this.time && one.take !== take);
    if (next) this.video.currentTime = next.start;
    else this.video.pause();
  }
}

/** Live pictures come as the studio chooses: as MP4 where this browser can play it, else as JPEG. */
export function showPictures(studio, reel) {
  const { wire } = studio;
  wire.pictures = Reel.kinds;
  studio.on("welcome", ({ pictures, film }) => (pictures.kind === "mp4" ? reel.begin(pictures.mime, film.fps) : reel.close()));
  reel.addEventListener("failed", async () => {
    wire.pictures = ["jpeg"]; // a new connection says so by itself
    while ((await wire.ask("show", { pictures: wire.pictures })).code === "not_ready") await new Promise((resolve) => setTimeout(resolve, 400));
  });
}
