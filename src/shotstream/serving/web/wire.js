// The live socket: numbered commands with answers, and a new connection whenever one is lost.

const VERSION = 1;
const HEADER = 20;

/** Pictures in a buffer, one behind the other: {take, frame, shot, live} with a JPEG `blob`, or `frames` of MP4 `data`. */
export function unpack(buffer) {
  const view = new DataView(buffer);
  const found = [];
  for (let at = 0; at + HEADER <= buffer.byteLength; ) {
    if (view.getUint8(at) !== 0x53 || view.getUint8(at + 1) !== 0x46 || view.getUint8(at + 2) !== 1) throw new Error("not a picture");
    const flags = view.getUint8(at + 3);
    const mp4 = (flags & 2) === 2;
    const begin = at + HEADER + (mp4 ? 4 : 0);
    const end = begin + view.getUint32(at + 16, true);
    const bytes = buffer.slice(begin, end);
    found.push({
      live: (flags & 1) === 1,
      take: view.getUint32(at + 4, true),
      frame: view.getUint32(at + 8, true),
      shot: view.getUint32(at + 12, true),
      ...(mp4 ? { data: bytes, frames: view.getUint32(at + HEADER, true) } : { blob: new Blob([bytes], { type: "image/jpeg" }) }),
    });
    at = end;
  }
  return found;
}

/** JSON as objects; seeds, which are longer than a browser can count, as text. (Inside a string, quotes are escaped.) */
const read = (text) => JSON.parse(text.replace(/"seed":(\d{16,})/g, '"seed":"$1"'));
const written = (fields) => JSON.stringify(fields).replace(/"seed":"(\d+)"/g, '"seed":$1');

export class Wire {
  /** `hear(message)` gets every message, `see(picture)` every picture, `lost()` is called when the line drops. */
  constructor({ hear, see, lost }) {
    Object.assign(this, { hear, see, lost });
    this.ref = 0;
    this.waiting = new Map();
    this.socket = null;
    this.film = null;
    this.pictures = ["jpeg"]; // what can be shown here
    this.pause = 250;
  }

  /** Show film `id`; resolves when it is there. */
  attach(id) {
    this.film = id;
    this.close();
    return new Promise((resolve) => this.connect(resolve));
  }

  close() {
    if (this.socket) {
      this.socket.onclose = null;
      this.socket.close();
      this.forget("the film was closed");
    }
    this.socket = null;
  }

  connect(ready) {
    const socket = new WebSocket(new URL("ws", location.href).href.replace(/^http/, "ws").replace(/[?#].*$/, ""));
    socket.binaryType = "arraybuffer";
    this.socket = socket;
    const hello = async () => {
      const answer = await this.ask("hello", { version: VERSION, film: this.film, pictures: this.pictures });
      if (answer.code === "not_ready") setTimeout(hello, 400);
    };
    socket.onopen = hello;
    socket.onmessage = ({ data }) => {
      if (data instanceof ArrayBuffer) return unpack(data).forEach(this.see);
      const message = read(data);
      if (message.type === "welcome") {
        this.pause = 250;
        this.settle(this.helloRef, message);
        ready?.();
      } else if (message.type === "accepted") this.waiting.get(message.ref)?.accepted();
      else if (["applied", "refused", "shown"].includes(message.type)) this.settle(message.ref, message);
      this.hear(message);
    };
    socket.onclose = () => {
      this.forget("the studio is not there");
      this.lost();
      this.pause = Math.min(4000, this.pause * 1.6);
      setTimeout(() => this.socket === socket && this.connect(ready), this.pause);
    };
  }

  /** Send a command; resolves with its answer. `accepted()` is called before, when the studio has taken it in. */
  ask(type, fields = {}, accepted = () => {}) {
    const ref = ++this.ref;
    if (type === "hello") this.helloRef = ref;
    if (this.socket?.readyState !== WebSocket.OPEN) return Promise.resolve({ type: "refused", code: "closed", text: "The studio is not there; reconnecting…" });
    this.socket.send(written({ type, ref, ...fields }));
    return new Promise((answered) => this.waiting.set(ref, { answered, accepted }));
  }

  settle(ref, message) {
    this.waiting.get(ref)?.answered(message);
    this.waiting.delete(ref);
  }

  forget(text) {
    for (const { answered } of this.waiting.values()) answered({ type: "refused", code: "closed", text });
    this.waiting.clear();
  }
}

/** Ask the HTTP API with JSON; throws as `call` does. */
export const send = (method, path, data) => call(path, { method, ...(data === undefined ? {} : { headers: { "content-type": "application/json" }, body: written(data) }) });

/** JSON from the HTTP API; throws an Error with the studio's own words, and its `code`. */
export async function call(path, options) {
  const answer = await fetch(path, options).catch(() => Promise.reject(new Error("The studio is not there; reconnecting…")));
  const body = await answer.text().then(read).catch(() => ({}));
  if (!answer.ok) throw Object.assign(new Error(body.text ?? `the studio said ${answer.status}`), { code: body.code });
  return body;
}
