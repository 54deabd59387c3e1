// The form before everything else.

import * as api from "./api.js";
import { el } from "./dom.js";

/**
 * The view.
 * @param {string} reason why one has to sign in again, or "".
 * @param {(person: object) => void} done
 */
export function signInView(reason, done) {
  const name = el("input", {
    id: "name", name: "username", autocomplete: "username", required: true, maxlength: 64,
    autocapitalize: "none", spellcheck: "false",
  });
  const password = el("input", {
    id: "password", name: "password", type: "password", autocomplete: "current-password",
    required: true, maxlength: 256,
  });
  const error = el("p", { class: "form-error", role: "alert" });
  const button = el("button", { type: "submit", class: "primary" }, "Sign in");
  const submit = async (event) => {
    event.preventDefault();
    error.textContent = "";
    button.disabled = true;
    form.setAttribute("aria-busy", "true");
    try {
      done(await api.signIn(name.value.trim().toLowerCase(), password.value));
    } catch (problem) {
      error.textContent = problem.retryAfterS > 5
        ? `${problem.message} (${Math.ceil(problem.retryAfterS / 60)} min)` : problem.message;
      password.select();
      password.focus();
    } finally {
      button.disabled = false;
      form.removeAttribute("aria-busy");
    }
  };
  const form = el(
    "form",
    { class: "card sign-in", on: { submit } },
    el("h1", { tabindex: -1 }, "Sign in"),
    el("p", { class: "soft" }, reason || "Your cameras and their recordings."),
    el("label", { for: "name" }, "Name"),
    name,
    el("label", { for: "password" }, "Password"),
    password,
    error,
    button,
  );
  return el("main", { id: "main", class: "centred" }, form);
}
