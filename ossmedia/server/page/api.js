// The server's answers. A refusal becomes an ApiError; when the session is over, whoever listens
// for "signed-out" on this module's `events` is told.

import { OTHER } from "./route.js";

export const events = new EventTarget();

let csrf = "";

export class ApiError extends Error {
  constructor(code, message, retryAfterS = 0) {
    super(message);
    this.code = code;
    this.retryAfterS = retryAfterS;
  }
}

const SENTENCES = {
  "signed-out": "You are signed out.",
  "sign-in-refused": "The name or the password is wrong.",
  "too-many-sign-ins": "Too many tries. Come again later.",
  "store-unavailable": "The server's database does not answer at the moment.",
  busy: "The server is busy at the moment.",
  kept: "This recording is kept. Release it first.",
  "not-found": "It is not there any more.",
};

async function refusal(answer) {
  let told = {};
  try {
    told = await answer.json();
  } catch {
    // A proxy's page, for one: the status says enough.
  }
  const code = typeof told.code === "string" ? told.code : `http-${answer.status}`;
  const plain = [told.title, told.detail].filter((text) => typeof text === "string").join(". ");
  const message = SENTENCES[code] ?? (plain || `The server answered ${answer.status}.`);
  return new ApiError(code, message, Number(told.retry_after_s) || 0);
}

async function ask(method, path, { body, signal } = {}) {
  const headers = { accept: "application/json" };
  if (body !== undefined) headers["content-type"] = "application/json";
  if (method !== "GET" && csrf) headers["x-ossmedia-csrf"] = csrf;
  const request = { method, headers, signal, credentials: "same-origin", redirect: "error" };
  if (body !== undefined) request.body = JSON.stringify(body);
  let answer;
  try {
    answer = await fetch(path, request);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ApiError("offline", "The server cannot be reached.");
  }
  if (answer.ok) return answer.status === 204 ? {} : answer.json();
  const error = await refusal(answer);
  if (error.code === "signed-out") events.dispatchEvent(new Event("signed-out"));
  throw error;
}

const path = (...parts) => `/v1/${parts.map(encodeURIComponent).join("/")}`;
const query = (values) => `?${new URLSearchParams(values)}`;

async function begun(answer) {
  const told = await answer;
  csrf = told.csrf;
  return told.person;
}

export const session = () => begun(ask("GET", path("session")));
export const signIn = (name, password) =>
  begun(ask("POST", path("session"), { body: { name, password } }));
export const signOut = () => begun(ask("DELETE", path("session")));

export const cameras = (signal) => ask("GET", path("cameras"), { signal });
/** What the questions about one day, or month, of a camera have in common. */
function about(question, camera, when, offset, signal, more = {}) {
  const named = camera === OTHER ? "" : camera;
  const values = { camera: named, ...when, tz_offset_min: offset, ...more };
  return ask("GET", path(question) + query(values), { signal });
}

export const days = (camera, month, offset, signal) =>
  about("days", camera, { month }, offset, signal);
export const timeline = (camera, day, offset, signal) =>
  about("timeline", camera, { day }, offset, signal);
export const recordings = (camera, day, offset, cursor, signal) =>
  about("recordings", camera, { day }, offset, signal, { limit: 50, ...(cursor && { cursor }) });

/** The newest recording of no camera, in a list; for administrators. */
export const others = () => ask("GET", path("recordings") + query({ camera: "", limit: 1 }));
export const recording = (id, signal) => ask("GET", path("recordings", id), { signal });

/** Where a camera's live picture is; "" when it has none. */
export function live({ id, live: now, streams }) {
  if (!now || !streams.length) return "";
  return `/v1/playlists/${[id, ...streams[0].split("/")].map(encodeURIComponent).join("/")}.m3u8`;
}

export const url = (id, download) =>
  ask("GET", path("recordings", id, "url") + query({ download: download ? 1 : 0 }));
export const keep = (id, kept) =>
  ask("PUT", path("recordings", id, "keep"), { body: { keep: kept } });
export const remove = (id) => ask("DELETE", path("recordings", id));
