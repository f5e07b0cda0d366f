// Elements as expressions. Text is always text: nothing here parses markup.

const SVG = "http://www.w3.org/2000/svg";

/** An HTML element; names with "on" are listeners, true and false are boolean attributes. */
export function h(tag, attributes = {}, ...children) {
  return furnish(document.createElement(tag), attributes, children);
}

/** The same in SVG. */
export function s(tag, attributes = {}, ...children) {
  return furnish(document.createElementNS(SVG, tag), attributes, children);
}

/** The beginning of a digest, by which people tell things apart; the whole where the pointer rests. */
export function digestNote(digest, length = 16) {
  return h("code", { title: digest }, digest.slice(0, length));
}

/** What may be wider than there is room for: it scrolls, by keyboard too. label: what it is. */
export function scrolling(label, ...children) {
  return h("div", { class: "scrolling", tabindex: "0", role: "region", "aria-label": label }, ...children);
}

/** Has screen readers say it. */
export function announce(words) {
  document.getElementById("announcement").textContent = words;
}

function furnish(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) {
      element.setAttribute(name, value);
    }
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return element;
}

/** Put a problem where it belongs: what is the matter, and what was hit. */
export function problemNote(error) {
  const problem = error.problem ?? {};
  return h("div", { class: "note bad", role: "alert" },
    h("strong", {}, problem.title ?? "That did not work"),
    h("p", {}, error.message),
    problem.request_id ? h("p", { class: "faint" }, `request ${problem.request_id}`) : null);
}
