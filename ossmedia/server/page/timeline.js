// A day as a strip: what was recorded, the gaps between, and where the player is. A click plays
// from there; with the keyboard it is a slider, and Enter plays.

import * as api from "./api.js";
import { el } from "./dom.js";
import { DAY_S, clockOf, dayOf, offsetOf, secondOf } from "./words.js";

const NEAR_PX = 6; // a click this near to something recorded means it
const KEYS = { ArrowLeft: -300, ArrowDown: -300, ArrowRight: 300, ArrowUp: 300,
  PageDown: -3600, PageUp: 3600, Home: -DAY_S, End: DAY_S };

export class Timeline {
  /** @param {(second: number) => void} choose called with a second of the day */
  constructor(choose) {
    this.chooseSecond = choose;
    this.spans = [];
    this.second = DAY_S / 2;
    this.bars = el("div", { class: "strip-bars" });
    this.later = el("div", { class: "strip-later" });
    this.cursor = el("div", { class: "strip-cursor" });
    this.head = el("div", { class: "strip-head", hidden: true });
    this.tip = el("div", { class: "strip-tip", hidden: true });
    this.strip = el(
      "div",
      {
        class: "strip", role: "slider", tabindex: 0, "aria-label": "Time of day",
        "aria-valuemin": 0, "aria-valuemax": DAY_S, "aria-describedby": "strip-help",
        on: {
          click: (event) => this.click(event),
          keydown: (event) => this.key(event),
          pointermove: (event) => this.hover(event),
          pointerleave: () => { this.tip.hidden = true; },
        },
      },
      this.later, this.bars, this.cursor, this.head, this.tip,
    );
    const hours = Array.from({ length: 9 }, (_, index) =>
      el("span", { class: index % 2 ? "hour odd" : "hour" }, clockOf(index * 3 * 3600)));
    this.note = el("p", { class: "soft strip-note" });
    this.node = el(
      "section",
      { class: "panel", "aria-label": "The day" },
      this.strip,
      el("div", { class: "hours", "aria-hidden": "true" }, ...hours),
      this.note,
      el("p", { id: "strip-help", class: "hidden" },
        "Arrow keys move by five minutes, Page Up and Page Down by an hour, Enter plays."),
    );
  }

  /** Loads a day of a camera. */
  async show(camera, day) {
    if (camera !== this.camera || day !== this.day) this.fill([]);
    this.camera = camera;
    this.day = day;
    this.asked?.abort();
    this.asked = new AbortController();
    let told;
    try {
      told = await api.timeline(camera, day, offsetOf(day), this.asked.signal);
    } catch (error) {
      if (error.name !== "AbortError") this.note.textContent = error.message;
      return;
    }
    if (camera === this.camera && day === this.day) this.fill(told.spans);
  }

  fill(spans) {
    this.spans = [...spans].sort((one, other) => one.from - other.from);
    this.bars.replaceChildren(...this.spans.map(bar));
    this.note.textContent = "";
    const now = this.day === dayOf(new Date()) ? secondOf(new Date(), this.day) : DAY_S;
    place(this.later, now, DAY_S);
    if (this.spans.length) this.move(this.spans[this.spans.length - 1].from);
    else this.move(this.second);
  }

  /** Where the player is; null: nowhere. */
  play(second) {
    this.head.hidden = second === null || second < 0 || second > DAY_S;
    if (!this.head.hidden) place(this.head, second, second);
  }

  move(second) {
    this.second = Math.min(Math.max(second, 0), DAY_S);
    place(this.cursor, this.second, this.second);
    const found = this.spans.some(({ from, to }) => from <= this.second && this.second < to);
    this.strip.setAttribute("aria-valuenow", Math.round(this.second));
    const words = `${clockOf(this.second)}, ${found ? "recorded" : "nothing recorded"}`;
    this.strip.setAttribute("aria-valuetext", words);
  }

  at(event) {
    const box = this.strip.getBoundingClientRect();
    const second = ((event.clientX - box.left) / box.width) * DAY_S;
    const near = (NEAR_PX / box.width) * DAY_S;
    if (this.spans.some(({ from, to }) => from <= second && second < to)) return second;
    const close = this.spans.find(({ from, to }) => from - near <= second && second < to + near);
    return close ? close.from : second;
  }

  click(event) {
    this.move(this.at(event));
    this.chooseSecond(this.second);
  }

  hover(event) {
    const second = this.at(event);
    this.tip.hidden = false;
    this.tip.textContent = clockOf(second);
    place(this.tip, second, second);
  }

  key(event) {
    if (event.key === "Enter" || event.key === " ") this.chooseSecond(this.second);
    else if (event.key in KEYS) this.move(this.second + KEYS[event.key]);
    else return;
    event.preventDefault();
  }
}

function bar({ from, to, kind }) {
  const node = el("span", { class: `strip-bar ${kind === "vod" ? "vod" : ""}` });
  place(node, from, to);
  return node;
}

function place(node, from, to) {
  const [start, end] = [from, to].map((second) => Math.min(Math.max(second / DAY_S, 0), 1));
  node.style.setProperty("left", `${start * 100}%`);
  if (end > start || node.className === "strip-later") {
    node.style.setProperty("width", `${(end - start) * 100}%`);
  }
}
