// The page: who is signed in, which camera, which day, what is played. The parts know nothing of
// each other; what happens in one reaches the others here.

import * as api from "./api.js";
import { CameraList, seen } from "./cameras.js";
import { DayStrip } from "./days.js";
import { blank, el, failure, icon } from "./dom.js";
import { Player } from "./player.js";
import { RecordingList, download } from "./recordings.js";
import * as route from "./route.js";
import { signInView } from "./sign_in.js";
import { say } from "./status.js";
import { Timeline } from "./timeline.js";
import { ago, dayOf, noonOf, offsetOf, secondOf, zone } from "./words.js";

const EVERY_MS = 20000;
const view = document.getElementById("view");
const account = document.getElementById("account");

class Home {
  constructor(person) {
    this.person = person;
    this.cameras = [];
    this.place = { camera: "", day: "", recording: "" };
    this.list = new CameraList();
    this.days = new DayStrip((day) => this.go({ day }));
    this.timeline = new Timeline((second) => this.seek(second));
    this.player = new Player({
      moved: (date) => this.timeline.play(date && secondOf(date, this.place.day)),
      ended: (recording) => this.next(recording),
      download,
    });
    this.recordings = new RecordingList({
      play: (recording) => this.play(recording),
      removed: (recording) => this.removed(recording),
    });
    this.title = el("h1", { class: "camera-title", tabindex: -1 });
    this.about = el("p", { class: "soft" });
    this.liveButton = el("button", { type: "button", class: "primary live-button", hidden: true,
      on: { click: () => this.go({ day: dayOf(new Date()), recording: "live" }) } },
    icon("camera"), "Watch live");
    this.work = el("div", { class: "work" });
    this.main = el("main", { id: "main", class: "main", tabindex: -1 }, this.work);
    this.node = el("div", { class: "home" }, this.list.node, this.main);
    this.head = el("div", { class: "camera-head" },
      el("div", {}, this.title, this.about), this.liveButton);
    this.columns = el("div", { class: "columns" }, this.player.node, this.recordings.node);
    this.zone = el("p", { class: "soft zone" }, `Times are ${zone()}.`);
    this.listener = () => this.arrive();
    addEventListener("hashchange", this.listener);
    this.timer = setInterval(() => document.hidden || this.refresh(), EVERY_MS);
  }

  /** Ends what goes on by itself. */
  close() {
    removeEventListener("hashchange", this.listener);
    clearInterval(this.timer);
    this.player.stop();
  }

  async start() {
    this.work.replaceChildren(el("p", { class: "soft loading", role: "status" }, "Loading…"));
    try {
      this.cameras = await this.look();
    } catch (error) {
      this.work.replaceChildren(failure(error, () => this.start()));
      return;
    }
    this.arrive();
  }

  /** The cameras, and for an administrator what belongs to none, if there is anything. */
  async look() {
    const found = (await api.cameras()).cameras.map((camera) => ({ ...camera, label: camera.id }));
    // Without an answer to this one the cameras are shown all the same; the next look asks again.
    const nothing = () => ({ recordings: [] });
    const told = this.person.admin ? await api.others().catch(nothing) : nothing();
    const [other] = told.recordings;
    if (!other) return found;
    const none = { state: "", last_seen: null, live: false, streams: [] };
    return [...found, { ...none, id: route.OTHER, label: "Other recordings",
      last_recording: other.start }];
  }

  go(change) {
    route.go({ ...this.place, recording: "", ...change });
  }

  /** Shows the place that the address names. */
  arrive() {
    const wanted = route.read();
    const camera = this.cameras.find(({ id }) => id === wanted.camera) ?? this.cameras[0];
    if (!camera) {
      this.list.update([], "");
      this.work.replaceChildren(blank("camera", "No camera is yours to see yet.",
        "Whoever runs this server can grant you some."));
      return;
    }
    const latest = camera.last_recording ? new Date(camera.last_recording) : new Date();
    const place = { camera: camera.id, day: wanted.day || dayOf(latest), recording: "" };
    if (camera.id === wanted.camera) place.recording = wanted.recording;
    if (route.text(place) !== location.hash) {
      route.go(place, true);
      return;
    }
    const before = this.place;
    this.place = place;
    this.list.update(this.cameras, camera.id);
    this.describe(camera);
    if (before.camera !== place.camera || before.day !== place.day) this.load(place);
    else this.turnTo(place.recording);
  }

  describe(camera) {
    this.title.replaceChildren(el("bdi", {}, camera.label));
    const recorded = camera.last_recording && `Last recording ${ago(camera.last_recording)}`;
    const heard = camera.id !== route.OTHER && seen(camera);
    this.about.textContent = [recorded, heard].filter(Boolean).join(" · ");
    this.liveButton.hidden = !api.live(camera);
    document.title = `${camera.label}, ${this.place.day} – ossmedia`;
  }

  async load({ camera, day, recording }) {
    const parts = [this.head, this.days.node, this.timeline.node, this.columns, this.zone];
    if (this.head.parentNode !== this.work) this.work.replaceChildren(...parts);
    this.player.stop();
    this.played = "";
    await Promise.all([
      this.days.show(camera, day),
      this.timeline.show(camera, day),
      this.recordings.show(camera, day, offsetOf(day)),
    ]);
    if (recording && this.place.recording === recording) await this.turnTo(recording);
  }

  /** Plays what the address names, unless it is played already. */
  async turnTo(id) {
    if (id === this.played) return;
    this.played = id;
    this.recordings.choose(id);
    if (!id) {
      this.player.stop();
    } else if (id === "live") {
      const camera = this.cameras.find((one) => one.id === this.place.camera);
      const playlist = camera && api.live(camera);
      if (playlist) this.player.watch(camera.id, playlist);
      else say("This camera is not live at the moment.", { error: true });
    } else {
      await this.find(id);
    }
  }

  async find(id) {
    const row = this.recordings.rows.get(id);
    try {
      const recording = row ? row.recording : await api.recording(id);
      const from = this.from ?? 0;
      this.from = undefined;
      if (id === this.place.recording) await this.player.play(recording, from);
    } catch (error) {
      say(error.message, { error: true });
    }
  }

  play(recording, from = 0) {
    this.from = from;
    this.played = "";
    if (this.place.recording === recording.id) this.turnTo(recording.id);
    else this.go({ recording: recording.id });
  }

  async seek(second) {
    const recording = await this.recordings.at(second);
    if (!recording) {
      say("Nothing was recorded from there on.");
      return;
    }
    const start = secondOf(new Date(recording.start), this.place.day);
    this.play(recording, Math.max(second - start, 0));
  }

  next(recording) {
    const following = this.recordings.after(recording);
    if (following) this.play(following);
  }

  removed(recording) {
    if (this.place.recording === recording.id) this.go({});
    this.days.load();
    this.timeline.show(this.place.camera, this.place.day);
  }

  /** What is new since the last look. */
  async refresh() {
    let cameras;
    try {
      cameras = await this.look();
    } catch {
      return; // the next look will tell, or a click
    }
    const { camera, day } = this.place;
    const last = (all) => all.find(({ id }) => id === camera)?.last_recording;
    const fresh = last(cameras) !== last(this.cameras);
    this.cameras = cameras;
    this.list.update(cameras, camera);
    const now = cameras.find(({ id }) => id === camera);
    if (!now) {
      this.arrive();
      return;
    }
    this.describe(now);
    if (!fresh || Date.now() - noonOf(day) > 36 * 3600 * 1000) return;
    this.days.load();
    this.timeline.show(camera, day);
    this.recordings.show(camera, day, offsetOf(day), true);
  }
}

let home = null;

function showSignIn(reason = "") {
  home?.close();
  home = null;
  account.replaceChildren();
  document.title = "Sign in – ossmedia";
  const form = signInView(reason, showHome);
  view.replaceChildren(form);
  form.querySelector("input").focus();
}

function showHome(person) {
  const leave = async () => {
    try {
      await api.signOut();
      showSignIn("You are signed out.");
    } catch (error) {
      if (error.code !== "signed-out") say(error.message, { error: true });
    }
  };
  const button = el("button", { type: "button", class: "plain small", on: { click: leave } },
    "Sign out");
  account.replaceChildren(el("span", { class: "person" }, person.name), button);
  home = new Home(person);
  view.replaceChildren(home.node);
  home.main.focus();
  home.start();
}

async function start() {
  try {
    const person = await api.session();
    if (person) showHome(person);
    else showSignIn();
  } catch (error) {
    view.replaceChildren(failure(error, start));
  }
}

api.events.addEventListener("signed-out", () => {
  if (home) showSignIn("You were signed out, because you were away or your password was changed.");
});

// The address after "#" is the place on the page, so that a plain link to an element would lose it.
document.querySelector(".skip").addEventListener("click", (event) => {
  event.preventDefault();
  document.getElementById("main")?.focus();
});

start();
