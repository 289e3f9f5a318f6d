// Building elements. Text from the wire goes in as text nodes and attribute values only: nothing
// in these scripts ever parses a string as HTML.

/**
 * Make an element.
 * @param {string} tag
 * @param {Object} [properties] class, text, data (dataset), on (listeners); the rest are
 *   attributes: true sets an empty one, null and false leave it out.
 * @param {...(Node|string|null)} children
 */
export function el(tag, properties = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === null || value === undefined || value === false) continue;
    if (name === "class") node.className = value;
    else if (name === "text") node.textContent = value;
    else if (name === "data") Object.assign(node.dataset, value);
    else if (name === "on") for (const [type, listener] of Object.entries(value)) node.addEventListener(type, listener);
    else node.setAttribute(name, value === true ? "" : String(value));
  }
  for (const child of children) if (child !== null && child !== undefined) node.append(child);
  return node;
}

export const byId = (id) => document.getElementById(id);

/** Whether a key press is meant for a field and not for the page. */
export function isTyping(event) {
  const target = event.target;
  return target instanceof HTMLElement && (target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName));
}

export const isDialogOpen = () => document.querySelector("dialog[open]") !== null;

/** Call `run` once, `wait_ms` after the last call. */
export function debounce(run, wait_ms) {
  let timer = 0;
  return (...args) => {
    clearTimeout(timer);
    timer = setTimeout(() => run(...args), wait_ms);
  };
}

/** Fill a select with options, keeping what is chosen even when it is not among them. */
export function setOptions(select, options) {
  const chosen = select.dataset.wanted ?? select.value;
  const known = new Set(options.map((option) => option.value));
  if (chosen && !known.has(chosen)) options = [...options, { value: chosen, label: chosen }];
  const first = select.options[0];
  select.replaceChildren(first, ...options.map(({ value, label }) => el("option", { value, text: label })));
  select.value = chosen ?? "";
}
