// The list of cameras: each with when it was last heard of and what it last recorded.

import { el, set } from "./dom.js";
import { OTHER, text } from "./route.js";
import { ago } from "./words.js";

const HEARD_S = 300; // a camera that spoke to the server this lately is taken to be up

export class CameraList {
  constructor() {
    this.list = el("ul", { class: "cameras" });
    this.node = el("nav", { class: "side", "aria-label": "Cameras" },
      el("h2", { class: "side-title" }, "Cameras"), this.list);
    this.items = new Map();
  }

  /**
   * Shows what /v1/cameras told, each with the `label` that the page gave it. Links stay the same
   * elements, so that the focus stays, too.
   */
  update(cameras, chosen) {
    const known = new Map(cameras.map((camera) => [camera.id, camera]));
    for (const [id, item] of this.items) {
      if (known.has(id)) continue;
      item.node.remove();
      this.items.delete(id);
    }
    for (const camera of cameras) {
      if (!this.items.has(camera.id)) this.items.set(camera.id, item(camera));
      const shown = this.items.get(camera.id);
      fill(shown, camera);
      if (this.list.children[this.items.size - 1] !== shown.node) this.list.append(shown.node);
    }
    this.choose(chosen);
  }

  /** Marks the one that is looked at. */
  choose(chosen) {
    for (const [id, { link }] of this.items) set(link, "aria-current", id === chosen && "page");
    const link = this.items.get(chosen)?.link;
    if (link && this.list.scrollWidth > this.list.clientWidth) {
      this.list.scrollLeft = link.offsetLeft - this.list.offsetLeft - 16;
    }
  }
}

/** "Seen 3 min ago". */
export function seen({ last_seen: iso }) {
  return iso ? `Seen ${ago(iso)}` : "Not seen yet";
}

function item({ id, label }) {
  const dot = el("span", { class: "dot" });
  const badge = el("span", { class: "badge live", hidden: true }, "Live");
  const heard = el("span", { class: "camera-line" });
  const recorded = el("span", { class: "camera-line" });
  const link = el(
    "a",
    { class: "camera", href: text({ camera: id }) },
    el("span", { class: "camera-name" }, dot, el("bdi", {}, label), badge),
    heard,
    recorded,
  );
  return { node: el("li", {}, link), link, dot, badge, heard, recorded };
}

function fill(shown, camera) {
  const up = camera.last_seen && Date.now() - new Date(camera.last_seen) < HEARD_S * 1000;
  const disabled = camera.state === "disabled";
  shown.dot.className = up && !disabled ? "dot up" : "dot";
  shown.badge.hidden = !camera.live;
  shown.heard.hidden = camera.id === OTHER;
  shown.dot.classList.toggle("none", camera.id === OTHER);
  shown.heard.textContent = disabled ? "Disabled" : seen(camera);
  shown.recorded.textContent = camera.last_recording
    ? `Recorded ${ago(camera.last_recording)}` : "No recordings yet";
}
