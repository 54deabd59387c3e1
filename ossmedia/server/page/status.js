// Short messages: shown for a moment, and said by screen readers.

const SHOWN_MS = 6000;

let timer = 0;

/** Says a sentence. An error stays longer. */
export function say(text, { error = false } = {}) {
  const place = document.getElementById("status");
  clearTimeout(timer);
  place.textContent = text;
  place.classList.toggle("error", error);
  timer = setTimeout(() => { place.textContent = ""; }, error ? 2 * SHOWN_MS : SHOWN_MS);
}
