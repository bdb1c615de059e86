// The shot at hand: what buttons and keys act on. The one on the screen, until a person picks one; events: `hand`.

const has = (shot, take) => shot.takes.some((one) => one.id === take);

export class Selection {
  take = null; // some take of the picked shot: it stays the same when shots move

  constructor(studio, player) {
    Object.assign(this, { studio, player });
    studio.on("opened", () => this.release());
    studio.on("film", () => this.look());
    player.addEventListener("moved", () => this.look());
    player.addEventListener("taken", () => this.release());
  }

  get picked() {
    return this.studio.film?.shots.findIndex((shot) => has(shot, this.take)) ?? -1;
  }

  /** The index of the shot at hand; null if there is none. */
  get index() {
    return this.picked >= 0 ? this.picked : (this.player.here()?.shot ?? null);
  }

  get shot() {
    return this.studio.film?.shots[this.index] ?? null;
  }

  /** Pick shot `index`, and show its first frame if it is made. */
  pick(index) {
    const shot = this.studio.film?.shots[index];
    if (!shot) return;
    this.take = shot.takes[0].id;
    const segment = this.player.segments.find((one) => one.shot === index);
    if (segment && !has(shot, this.studio.film.running)) this.player.seek(segment.start);
    this.look();
  }

  release() {
    this.take = null;
    this.look();
  }

  look() {
    const key = this.shot?.takes[0].id;
    const now = `${this.index}/${key}/${this.player.here()?.shot}`;
    if (now === this.known) return;
    this.known = now;
    this.studio.emit("hand", this.index);
  }
}
