// The tenant, live, over the dashboard WebSocket of docs/protocol.md. The token goes in the first frame.

import { SignedOut, token } from "./sign-in.js";

const FIRST_PAUSE = 500; // ms; doubled by each failure
const LONGEST_PAUSE = 15_000;
const RENEW = 60_000; // ms between looks at the token
const STOP = new Set([4500, 4501, 4503, 1002, 1003, 1007, 1009]);

/** A frame, or one that says that it cannot be read: what one publisher wrote hides nothing of the others. */
function read(text) {
  try {
    const frame = JSON.parse(text);
    if (typeof frame?.type === "string") return frame;
  } catch {
    // Told below, as every other frame that is none.
  }
  return { type: "undecodable", text };
}

/** Watch a tenant until `close()`. `hear(frame)` gets each frame, `show(state)` says how the line is. */
export class Live {
  #tenant;
  #hear;
  #show;
  #socket = null;
  #pause = FIRST_PAUSE;
  #timer = null;
  #looking = null;
  #over = false;
  #told = null;

  constructor(tenant, hear, show) {
    this.#tenant = tenant;
    this.#hear = hear;
    this.#show = show;
    this.#open();
  }

  close() {
    this.#over = true;
    clearTimeout(this.#timer);
    clearInterval(this.#looking);
    this.#socket?.close();
  }

  async #open() {
    this.#show("connecting");
    try {
      this.#told = await token();
    } catch (fault) {
      if (fault instanceof SignedOut) this.#end("signed out");
      else this.#again();
      return;
    }
    if (this.#over) return;
    const address = new URL("../api/v1/ws/dashboard", location.href);
    address.protocol = address.protocol.replace("http", "ws");
    const socket = (this.#socket = new WebSocket(address));
    socket.onopen = () => this.#say({ type: "auth", token: this.#told, tenant_id: this.#tenant });
    socket.onmessage = (event) => this.#take(read(event.data));
    socket.onclose = (event) => this.#closed(event.code);
  }

  #say(frame) {
    if (this.#socket.readyState === WebSocket.OPEN) this.#socket.send(JSON.stringify(frame));
  }

  #take(frame) {
    if (this.#over) return;
    if (frame.type === "connected") {
      this.#pause = FIRST_PAUSE;
      this.#show("live");
      this.#say({ type: "subscribe_topic_preview" });
      this.#looking = setInterval(() => this.#renew(), RENEW);
    }
    this.#hear(frame);
  }

  /** Before the token ends, the connection is given the newer one. */
  async #renew() {
    const newer = await token().catch(() => this.#told);
    if (newer !== this.#told) this.#say({ type: "auth", token: (this.#told = newer) });
  }

  #closed(code) {
    clearInterval(this.#looking);
    if (this.#over) return;
    if (STOP.has(code)) this.#end("closed");
    else this.#again();
  }

  #end(state) {
    this.#over = true;
    this.#show(state);
  }

  #again() {
    if (this.#over) return;
    this.#show("waiting");
    // Spread, so that not everybody comes back to a restarted server at once.
    this.#timer = setTimeout(() => this.#open(), this.#pause * (0.5 + Math.random() / 2));
    this.#pause = Math.min(2 * this.#pause, LONGEST_PAUSE);
  }
}
