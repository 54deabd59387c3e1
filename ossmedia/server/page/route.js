// Where on the page one is: a camera, a day, a recording. It stands in the address after "#", so
// that the browser's own back, forward and bookmarks work.

import { isDay } from "./words.js";

/** Stands for the recordings of no camera; no camera can be called so. */
export const OTHER = "-";

/** {camera, day, recording}, each a text or "". The recording "live" is the live picture. */
export function read() {
  const parts = location.hash.split("/").slice(1).map((part) => {
    try {
      return decodeURIComponent(part);
    } catch {
      return "";
    }
  });
  const [camera = "", day = "", recording = ""] = parts;
  return { camera, day: isDay(day) ? day : "", recording };
}

/** The address of a place. */
export function text({ camera, day = "", recording = "" }) {
  const parts = [camera, day, recording].filter(Boolean).map(encodeURIComponent);
  return `#/${parts.join("/")}`;
}

/** Goes to a place; listeners of "hashchange" hear of it. `replace`: without a way back to here. */
export function go(place, replace = false) {
  const to = text(place);
  if (to === location.hash) return;
  if (!replace) {
    location.hash = to;
    return;
  }
  history.replaceState(null, "", to);
  dispatchEvent(new Event("hashchange"));
}
