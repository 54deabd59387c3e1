// A month as a strip of days, each with how much was recorded. One day is chosen; the arrow keys
// move to the days beside it.

import * as api from "./api.js";
import { el, iconButton, set } from "./dom.js";
import { count, dayName, dayOf, daysOf, length, monthAfter, monthName, offsetOf, size, weekday }
  from "./words.js";

const FULL_S = 6 * 3600; // recorded time at which a day's mark is full

export class DayStrip {
  /** @param {(day: string) => void} choose called when somebody chooses a day */
  constructor(choose) {
    this.chooseDay = choose;
    this.title = el("h2", { class: "month", "aria-live": "polite" });
    this.total = el("p", { class: "soft total" });
    this.list = el("div", { class: "days", role: "radiogroup", "aria-label": "Day",
      on: { keydown: (event) => this.key(event) } });
    const today = el("button", { type: "button", class: "plain small",
      on: { click: () => choose(dayOf(new Date())) } }, "Today");
    this.node = el(
      "section",
      { class: "panel days-panel", "aria-label": "Days" },
      el("div", { class: "days-head" },
        iconButton("before", "Month before", () => this.turn(-1)),
        this.title,
        iconButton("after", "Month after", () => this.turn(1)),
        today,
        this.total),
      this.list,
    );
    this.camera = this.month = this.day = "";
    this.known = new Map();
    this.buttons = new Map();
  }

  /** Shows a day of a camera, and the month around it. */
  async show(camera, day) {
    const other = camera !== this.camera || day.slice(0, 7) !== this.month;
    this.camera = camera;
    this.day = day;
    if (other) {
      this.known = new Map();
      this.build(day.slice(0, 7));
    }
    this.mark();
    await this.load();
  }

  /** Asks again how much was recorded. */
  async load() {
    const { camera, month } = this;
    this.asked?.abort();
    this.asked = new AbortController();
    let told;
    try {
      told = await api.days(camera, month, offsetOf(`${month}-15`), this.asked.signal);
    } catch (error) {
      if (error.name !== "AbortError") this.total.textContent = error.message;
      return;
    }
    if (camera !== this.camera || month !== this.month) return;
    this.known = new Map(told.days.map((day) => [day.day, day]));
    this.mark();
  }

  async turn(by) {
    this.known = new Map();
    this.build(monthAfter(this.month, by));
    this.mark();
    await this.load();
  }

  build(month) {
    this.month = month;
    this.title.textContent = monthName(month);
    this.buttons = new Map(daysOf(month).map((day) => [day, this.button(day)]));
    this.list.replaceChildren(...this.buttons.values());
  }

  button(day) {
    const listener = () => this.chooseDay(day);
    return el(
      "button",
      { type: "button", role: "radio", class: "day", tabindex: -1, on: { click: listener } },
      el("span", { class: "day-week" }, weekday(day).slice(0, 2)),
      el("span", { class: "day-number" }, String(Number(day.slice(8)))),
      el("span", { class: "day-mark" }, el("span", {})),
    );
  }

  mark() {
    const today = dayOf(new Date());
    for (const [day, button] of this.buttons) {
      const known = this.known.get(day);
      set(button, "aria-checked", String(day === this.day));
      set(button, "aria-current", day === today && "date");
      set(button, "aria-label", `${dayName(day)}, ${summary(known)}`);
      button.classList.toggle("empty", !known);
      button.tabIndex = -1;
      const share = known ? Math.max(0.12, Math.min(known.seconds / FULL_S, 1)) : 0;
      button.lastChild.firstChild.style.setProperty("width", `${share * 100}%`);
    }
    const chosen = this.buttons.get(this.day);
    (chosen ?? this.buttons.values().next().value).tabIndex = 0;
    if (chosen) this.centre(chosen);
    const told = `${dayName(this.day)}: ${summary(this.known.get(this.day))}`;
    this.total.textContent = chosen ? told : "";
  }

  centre(button) {
    this.list.scrollLeft = button.offsetLeft - (this.list.clientWidth - button.clientWidth) / 2;
  }

  key(event) {
    const step = { ArrowLeft: -1, ArrowUp: -7, ArrowRight: 1, ArrowDown: 7 }[event.key];
    const days = [...this.buttons.keys()];
    const at = days.findIndex((day) => this.buttons.get(day) === event.target);
    const ends = { Home: 0, End: days.length - 1 };
    const to = event.key in ends ? ends[event.key] : at + (step ?? 0);
    if (at < 0 || to === at) return;
    event.preventDefault();
    const day = days[Math.min(Math.max(to, 0), days.length - 1)];
    this.buttons.get(day).focus();
    this.chooseDay(day);
  }
}

function summary(known) {
  if (!known) return "nothing recorded";
  return [count(known.count, "recording"), length(known.seconds), size(known.bytes)].join(", ");
}
