// Elements from data. Text goes in as text and attributes as attributes; nothing parses HTML.

const SVG = "http://www.w3.org/2000/svg";
const ICONS = new URL("icons.svg", import.meta.url).pathname;

/**
 * An element.
 * @param {string} tag
 * @param {object} given attributes by name; `on` holds listeners by event. Null and false: absent.
 * @param {...(Node|string|null)} children
 */
export function el(tag, given = {}, ...children) {
  const node = document.createElement(tag);
  const { on = {}, ...attributes } = given;
  for (const [name, value] of Object.entries(attributes)) set(node, name, value);
  for (const [type, listener] of Object.entries(on)) node.addEventListener(type, listener);
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
}

/** Sets an attribute, or takes it away for null and false. */
export function set(node, name, value) {
  if (value === null || value === undefined || value === false) node.removeAttribute(name);
  else node.setAttribute(name, value === true ? "" : String(value));
}

/** One of the symbols of icons.svg; it says nothing to those who cannot see it. */
export function icon(name) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("class", "icon");
  svg.setAttribute("aria-hidden", "true");
  const use = document.createElementNS(SVG, "use");
  use.setAttribute("href", `${ICONS}#${name}`);
  svg.append(use);
  return svg;
}

/** Another symbol in an icon. */
export function turn(svg, name) {
  svg.firstChild.setAttribute("href", `${ICONS}#${name}`);
}

/** A button that shows only a symbol. */
export function iconButton(name, label, listener, given = {}) {
  const attributes = { type: "button", class: "tool", "aria-label": label, title: label, ...given };
  return el("button", { ...attributes, on: { click: listener } }, icon(name));
}

/** What stands where there is nothing to show: a symbol, a sentence, perhaps a button. */
export function blank(symbol, title, text = "", button = null) {
  return el(
    "div",
    { class: "blank" },
    icon(symbol),
    el("p", { class: "blank-title" }, title),
    text ? el("p", { class: "soft" }, text) : null,
    button,
  );
}

/** What stands where something could not be had, with a button to try again. */
export function failure(error, again) {
  const given = { type: "button", class: "plain", on: { click: again } };
  const button = el("button", given, "Try again");
  const node = blank("warning", "This could not be loaded.", error.message, button);
  node.setAttribute("role", "alert");
  return node;
}
