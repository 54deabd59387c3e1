// The recordings of a day, newest first, a page at a time; each can be played, kept, downloaded and
// deleted.

import * as api from "./api.js";
import { confirm } from "./confirm.js";
import { blank, el, failure, icon, iconButton, set, turn } from "./dom.js";
import { say } from "./status.js";
import { clock, length, secondOf, size, titleOf } from "./words.js";

const KINDS = { file: "File", hls: "HLS", vod: "VOD" };
const STATES = { growing: "Recording", deleting: "Deleting", gone: "Deleted" };

export class RecordingList {
  /** @param {object} calls `play(recording)` and `removed(recording)` */
  constructor(calls) {
    this.calls = calls;
    this.title = el("h2", { class: "list-title", tabindex: -1 }, "Recordings");
    this.list = el("ul", { class: "recordings", "aria-label": "Recordings" });
    this.place = el("div", { class: "list-place" });
    this.more = el("button", { type: "button", class: "plain more", hidden: true,
      on: { click: () => this.further() } }, "Show more");
    this.node = el("section", { class: "panel list-panel", "aria-label": "Recordings" },
      this.title, this.place, this.list, this.more);
    this.rows = new Map();
    this.cursor = null;
  }

  /** Loads a day of a camera. `quiet`: the same day again, without showing that it is loaded. */
  async show(camera, day, offset, quiet = false) {
    if (!quiet) this.empty();
    Object.assign(this, { camera, day, offset });
    const wanted = Math.max(this.rows.size, 1);
    this.asked?.abort();
    this.asked = new AbortController();
    if (!quiet) this.wait();
    const { signal } = this.asked;
    const found = [];
    let cursor = null;
    try {
      do {
        const told = await api.recordings(camera, day, offset, cursor, signal);
        found.push(...told.recordings);
        cursor = told.next;
      } while (cursor && found.length < wanted);
    } catch (error) {
      if (error.name !== "AbortError" && !quiet) this.fail(error);
      return;
    }
    this.cursor = cursor;
    this.fill(found);
  }

  empty() {
    this.rows.clear();
    this.list.replaceChildren();
    this.place.replaceChildren();
    this.more.hidden = true;
  }

  wait() {
    const rows = Array.from({ length: 4 }, () => el("div", { class: "ghost" }));
    this.place.replaceChildren(el("div", { class: "ghosts", role: "status" },
      el("span", { class: "hidden" }, "Loading recordings"), ...rows));
    set(this.node, "aria-busy", "true");
  }

  fail(error) {
    set(this.node, "aria-busy", null);
    const again = () => this.show(this.camera, this.day, this.offset);
    this.place.replaceChildren(failure(error, again));
  }

  /** Shows these, and no others. A row stays the same element, so that the focus stays, too. */
  fill(found) {
    set(this.node, "aria-busy", null);
    const ids = new Set(found.map(({ id }) => id));
    for (const [id, row] of this.rows) {
      if (ids.has(id)) continue;
      row.node.remove();
      this.rows.delete(id);
    }
    found.forEach((recording, index) => {
      const row = this.rows.get(recording.id) ?? this.row(recording);
      this.rows.set(recording.id, row);
      fill(row, recording);
      if (this.list.children[index] !== row.node) {
        this.list.insertBefore(row.node, this.list.children[index] ?? null);
      }
    });
    this.more.hidden = !this.cursor;
    this.blank();
    this.choose(this.chosen);
  }

  blank() {
    this.place.replaceChildren();
    if (!this.rows.size) {
      this.place.append(blank("film", "Nothing was recorded on this day.",
        "Days with recordings carry a mark."));
    }
  }

  async further() {
    if (!this.cursor) return;
    this.more.disabled = true;
    const { signal } = this.asked;
    try {
      const { camera, day, offset, cursor } = this;
      const told = await api.recordings(camera, day, offset, cursor, signal);
      this.cursor = told.next;
      const shown = [...this.rows.values()].map((row) => row.recording);
      this.fill([...shown, ...told.recordings]);
    } catch (error) {
      if (error.name !== "AbortError") say(error.message, { error: true });
    } finally {
      this.more.disabled = false;
    }
  }

  row(recording) {
    const row = { recording };
    row.time = el("span", { class: "row-time" });
    row.line = el("span", { class: "row-line" });
    row.title = el("bdi", { class: "row-title" });
    row.state = el("span", { class: "badge" });
    row.play = el("button", { type: "button", class: "row-play",
      on: { click: () => this.calls.play(row.recording) } },
    el("span", { class: "row-icon" }, icon("play")),
    el("span", { class: "row-text" },
      el("span", { class: "row-first" }, row.time, row.state), row.line, row.title));
    row.keep = iconButton("keep", "Keep", () => this.keep(row), { "aria-pressed": "false" });
    row.download = iconButton("download", "Download", () => download(row.recording));
    row.remove = iconButton("delete", "Delete", () => this.remove(row));
    row.node = el("li", { class: "row" }, row.play,
      el("span", { class: "row-tools" }, row.keep, row.download, row.remove));
    return row;
  }

  /** Marks the one that is played. */
  choose(id) {
    this.chosen = id;
    for (const [own, row] of this.rows) {
      set(row.play, "aria-current", own === id && "true");
      row.node.classList.toggle("chosen", own === id);
    }
  }

  async keep(row) {
    row.keep.disabled = true;
    try {
      fill(row, await api.keep(row.recording.id, !row.recording.keep));
      say(row.recording.keep ? "Kept: it will not be deleted." : "No longer kept.");
    } catch (error) {
      say(error.message, { error: true });
    } finally {
      row.keep.disabled = false;
      row.keep.focus();
    }
  }

  async remove(row) {
    const { recording } = row;
    if (recording.keep) {
      say("This recording is kept. Release it first.", { error: true });
      return;
    }
    const text = `${recording.camera}, ${clock(new Date(recording.start))}, ${facts(recording)}. ` +
      "This cannot be undone.";
    if (!await confirm("Delete this recording?", text, "Delete")) return;
    let told;
    try {
      told = await api.remove(recording.id);
    } catch (error) {
      say(error.message, { error: true });
      return;
    }
    if (told.state === "deleting") { // OSS has not said that it is gone
      fill(row, { ...recording, state: "deleting" });
      say("It is being deleted.");
      return;
    }
    const rows = [...this.rows.values()];
    const next = rows[rows.indexOf(row) + 1] ?? rows[rows.indexOf(row) - 1];
    this.rows.delete(recording.id);
    row.node.remove();
    this.blank();
    (next?.play ?? this.title).focus();
    say("Deleted.");
    this.calls.removed(recording);
  }

  /** The recording at a second of the day, or the first one after it; null when there is none. */
  async at(second) {
    for (;;) {
      const rows = [...this.rows.values()].map((row) => row.recording);
      const starts = rows.map(({ start }) => secondOf(new Date(start), this.day));
      const at = starts.findIndex((start) => start <= second);
      if (at >= 0 || !this.cursor) {
        const ends = at >= 0 && starts[at] + (rows[at].duration_s ?? 0);
        if (at >= 0 && second < Math.max(ends, starts[at] + 1)) return rows[at];
        return rows[(at < 0 ? rows.length : at) - 1] ?? null;
      }
      const before = this.rows.size;
      await this.further();
      if (this.rows.size === before) return null;
    }
  }

  /** What goes on where a recording ends; null when there is a gap. */
  after(recording) {
    const rows = [...this.rows.values()].map((row) => row.recording);
    const next = rows[rows.findIndex(({ id }) => id === recording.id) - 1];
    const end = new Date(recording.start) / 1000 + (recording.duration_s ?? 0);
    return next && Math.abs(new Date(next.start) / 1000 - end) < 5 ? next : null;
  }
}

function facts(recording) {
  const { duration_s: seconds, size: bytes } = recording;
  return [seconds === null ? "" : length(seconds), size(bytes)].filter(Boolean).join(", ");
}

function fill(row, recording) {
  row.recording = recording;
  const time = clock(new Date(recording.start));
  const { state, kind } = recording;
  row.time.textContent = time;
  row.line.textContent = `${facts(recording)}, ${KINDS[kind] ?? kind}`;
  row.title.textContent = titleOf(recording);
  row.title.hidden = !row.title.textContent;
  row.state.textContent = STATES[state] ?? state;
  row.state.hidden = state === "ready";
  const ending = state === "deleting" || state === "gone";
  row.play.disabled = ending;
  set(row.keep, "aria-pressed", String(recording.keep));
  row.keep.disabled = ending;
  turn(row.keep.firstChild, recording.keep ? "kept" : "keep");
  row.download.classList.toggle("absent", kind === "hls");
  row.download.disabled = ending;
  set(row.remove, "aria-disabled", recording.keep && "true");
  row.remove.disabled = ending;
  for (const [button, word] of [[row.keep, recording.keep ? "Release" : "Keep"],
    [row.download, "Download"], [row.remove, "Delete"]]) {
    set(button, "aria-label", `${word} ${time}`);
    set(button, "title", word);
  }
}

/** Lets the browser fetch it as a file. */
export async function download(recording) {
  try {
    const { url } = await api.url(recording.id, true);
    const link = el("a", { href: url, download: true, rel: "noreferrer", hidden: true });
    document.body.append(link);
    link.click();
    link.remove();
    say("The download begins.");
  } catch (error) {
    say(error.message, { error: true });
  }
}
