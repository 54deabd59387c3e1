// The player: the browser's own. Addresses of media are good for minutes only, so that one that has
// ended is asked for anew and playing goes on where it was.

import * as api from "./api.js";
import { blank, el } from "./dom.js";
import { clock, dayName, dayOf, length, size, titleOf } from "./words.js";

const HLS = "application/vnd.apple.mpegurl";
const NETWORK = 2; // MediaError.MEDIA_ERR_NETWORK; 3 and 4 are about what the media are
const PLAIN_HLS = "This browser cannot play this recording, or the bucket does not let this page " +
  "read it.";
const CODEC = "This browser cannot play this recording. Its picture may be H.265, or its sound " +
  "G.711: another player will show it.";
const NO_HLS = "This browser cannot play HLS by itself. Current versions of Chrome, Edge and " +
  "Safari can.";
const NO_TS = "Browsers do not play single MPEG-TS files. Another player will show it.";
const NO_PICTURE = "This browser plays only the sound of this recording: it does not know how " +
  "its picture is packed. It may be H.265.";

export class Player {
  /** @param {object} calls `moved(date|null)`, `ended(recording)`, `download(recording)` */
  constructor(calls) {
    this.calls = calls;
    this.video = el("video", {
      controls: true, playsinline: true, preload: "auto", hidden: true, tabindex: 0,
      on: {
        error: () => this.broken(),
        loadedmetadata: () => this.known(),
        timeupdate: () => this.moved(),
        ended: () => this.recording && calls.ended(this.recording),
      },
    });
    this.place = el("div", { class: "stage-place" },
      blank("play", "Choose a recording, or a moment of the day."));
    this.live = el("span", { class: "badge live", hidden: true }, "Live");
    this.title = el("h2", { class: "stage-title" });
    this.facts = el("p", { class: "soft stage-facts" });
    this.node = el(
      "section",
      { class: "panel stage-panel", "aria-label": "Player" },
      el("div", { class: "stage" }, this.place, this.video),
      el("div", { class: "stage-words" }, this.title, this.live, this.facts),
    );
    this.recording = null;
    this.turn = 0;
  }

  /** Plays a recording, from a second of it on. */
  async play(recording, from = 0) {
    const turn = this.begin(recording);
    const start = new Date(recording.start);
    this.title.textContent = `${dayName(dayOf(start))}, ${clock(start)}`;
    this.facts.textContent = [titleOf(recording), recording.duration_s === null
      ? "" : length(recording.duration_s), size(recording.size)].filter(Boolean).join(", ");
    const hindrance = this.hindrance(recording);
    if (hindrance) {
      this.tell(hindrance, recording);
      return;
    }
    await this.open(turn, from);
  }

  /** Plays what a camera sees now. */
  watch(camera, playlist) {
    this.begin(null);
    this.title.textContent = camera;
    this.facts.textContent = "Some seconds behind, as HLS is.";
    this.live.hidden = false;
    if (!this.video.canPlayType(HLS)) this.tell(NO_HLS);
    else this.load(playlist, 0, true);
  }

  /** Plays nothing. */
  stop() {
    this.begin(null);
    this.title.textContent = this.facts.textContent = "";
    this.place.replaceChildren(blank("play", "Choose a recording, or a moment of the day."));
  }

  begin(recording) {
    this.recording = recording;
    this.calls.moved(null);
    this.renewedAt = -1;
    this.live.hidden = true;
    this.video.pause();
    this.video.hidden = true;
    this.video.removeAttribute("src");
    this.video.load();
    this.place.hidden = false;
    this.place.replaceChildren();
    this.turn += 1;
    return this.turn;
  }

  hindrance({ playlist, content_type: type }) {
    if (playlist) return this.video.canPlayType(HLS) ? "" : NO_HLS;
    return type === "video/mp2t" && !this.video.canPlayType(type) ? NO_TS : "";
  }

  async open(turn, from) {
    const { id, playlist } = this.recording;
    try {
      const url = playlist ?? (await api.url(id, false)).url;
      if (turn !== this.turn) return;
      if (this.recording.content_type.startsWith("image/")) this.picture(url);
      else this.load(url, from, Boolean(playlist));
    } catch (error) {
      if (turn === this.turn) this.tell(error.message);
    }
  }

  picture(url) {
    const alt = `${this.recording.camera}, ${this.title.textContent}`;
    const error = () => this.tell("This picture cannot be shown.", this.recording);
    this.place.replaceChildren(el("img", { src: url, alt, on: { error } }));
    this.node.scrollIntoView({ block: "nearest" });
  }

  /** HLS is asked for with CORS: without it Chromium plays no segments of another origin. */
  load(url, from, cors) {
    Object.assign(this, { url, from });
    this.video.crossOrigin = cors ? "anonymous" : null;
    this.video.hidden = false;
    this.place.hidden = true;
    this.node.scrollIntoView({ block: "nearest" });
    this.video.src = url;
    this.video.play().catch(() => {}); // a browser that wants a click first shows its button
  }

  known() {
    if (this.from) this.video.currentTime = this.from;
    const type = this.recording?.content_type ?? "";
    const silent = type.startsWith("video/") && !this.video.videoWidth;
    this.facts.classList.toggle("warned", silent);
    if (silent) this.facts.textContent = NO_PICTURE;
  }

  moved() {
    if (!this.recording || this.video.hidden) return;
    const at = this.video.currentTime;
    this.calls.moved(new Date(new Date(this.recording.start).getTime() + at * 1000));
  }

  broken() {
    const { error, currentTime } = this.video;
    if (this.video.hidden || !error) return;
    // Playing stopped in the middle: the address has ended, most likely. Not twice at one place.
    const first = error.code === NETWORK && this.renewedAt < 0;
    const midway = first || currentTime > this.renewedAt + 1;
    if (this.recording && midway) {
      this.renewedAt = currentTime;
      this.open(this.turn, currentTime);
      return;
    }
    if (this.video.crossOrigin) { // Safari needs no rule of the bucket, if it is not asked for
      this.load(this.url, this.from, false);
      return;
    }
    const coded = this.recording?.playlist ? PLAIN_HLS : CODEC;
    this.tell(this.recording ? coded : "The live picture cannot be played at the moment.",
      this.recording);
  }

  tell(text, recording = null) {
    this.video.hidden = true;
    this.place.hidden = false;
    const fetchable = recording && recording.kind !== "hls";
    const button = fetchable ? el("button", { type: "button", class: "plain",
      on: { click: () => this.calls.download(recording) } }, "Download") : null;
    const node = blank("warning", text, "", button);
    node.setAttribute("role", "alert");
    this.place.replaceChildren(node);
  }
}
