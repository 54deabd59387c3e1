// One question before something that cannot be undone.

import { el } from "./dom.js";

/**
 * Asks. The focus stays inside until there is an answer, and then goes back to where it was.
 * @returns {Promise<boolean>}
 */
export function confirm(title, text, action) {
  const answer = (value, given) => ({ type: "submit", value, ...given });
  const no = el("button", answer("no", { class: "plain", autofocus: true }), "Cancel");
  const yes = el("button", answer("yes", { class: "danger" }), action);
  const dialog = el(
    "dialog",
    { class: "dialog", "aria-labelledby": "dialog-title", "aria-describedby": "dialog-text" },
    el(
      "form",
      { method: "dialog" },
      el("h2", { id: "dialog-title" }, title),
      el("p", { id: "dialog-text", class: "soft" }, text),
      el("div", { class: "dialog-buttons" }, no, yes),
    ),
  );
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => {
      dialog.remove();
      resolve(dialog.returnValue === "yes");
    });
    dialog.addEventListener("click", (event) => {
      if (event.target === dialog) dialog.close("no"); // beside it
    });
    document.body.append(dialog);
    dialog.showModal();
  });
}
