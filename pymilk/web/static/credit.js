// Credit for frames: which one was painted last, the account of them all, and whether the next one was asked for.

/** Version of the messages between page and server. */
export const PROTOCOL = 2;

export class Credit {
  constructor() {
    this.shown = this.skipped = this.lives = 0;
    this.last = null;
    this.awaited = false;
  }

  /**
   * A frame was painted. One that was painted before, in another region say, is no other one. In every life of the stream
   * (a file, or a restart of its counter) shown + skipped is the difference of its last and its first counter, and 1.
   */
  painted({ cnt0, file }) {
    const { last } = this;
    if (!last || file !== last.file || cnt0 < last.cnt0) {
      this.lives++;
      this.shown++;
    } else if (cnt0 > last.cnt0) {
      this.shown++;
      this.skipped += cnt0 - last.cnt0 - 1;
    }
    this.last = { cnt0, file };
  }

  /** What to say to the server for the next frame, of this part of the image. One is asked for at a time. */
  ask(view) {
    const said = this.awaited ? { view } : { view, ready: this.last };
    this.awaited = true;
    return said;
  }

  /** The frame that was asked for has come. */
  came() {
    this.awaited = false;
  }

  /** What a page says of itself to a new connection: the account so far, if there is one. */
  begun() {
    this.awaited = false;
    const { last, shown, skipped, lives } = this;
    return { protocol: PROTOCOL, ...(last ? { account: { ...last, shown, skipped, lives } } : {}) };
  }
}
