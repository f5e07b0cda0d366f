// A button that deletes. There is no way back, so a first click makes it ask, and a second one answers.

import { announce } from "./dom.js";

// How long a question stands: after it, a click asks again.
const PATIENCE = 6000;

/** Makes `button` do `act`, after it asked. name: of what is deleted, where others stand beside it. */
export function deletes(button, act, name = "") {
  let asked = null;
  const say = (words) => {
    button.textContent = words;
    if (name) button.setAttribute("aria-label", `${words} ${name}`);
  };
  const rest = () => {
    clearTimeout(asked);
    asked = null;
    button.classList.remove("asking");
    say("Delete");
    announce("");
  };
  const ask = () => {
    button.classList.add("asking");
    say("Really delete?");
    announce("Really delete? Press again to delete.");
    button.focus(); // Safari leaves a clicked button without the focus that it is to lose
    asked = setTimeout(rest, PATIENCE);
  };
  button.onclick = ({ detail }) => {
    if (detail > 1) return; // the rest of a double click is no answer
    if (asked === null) ask();
    else {
      rest();
      act();
    }
  };
  button.onblur = () => asked !== null && rest();
  button.onkeydown = (event) => {
    if (event.key === "Enter" && event.repeat) event.preventDefault(); // a key held down is none either
    if (event.key === "Escape" && asked !== null) rest();
  };
  say("Delete");
}
